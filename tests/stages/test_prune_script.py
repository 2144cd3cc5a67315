"""prune.py end to end, through the real script: curves over ratios, their table and picture, and wandb."""

import pandas as pd
import pytest
from scripts import finished
from wandb_files import recorded_runs

ONLY_WIKI = ("forgetting=corpora", "~forgetting.news", "~forgetting.math", "~forgetting.code")
SHORT = ("forgetting.wiki.dataset.n_texts=3", "forgetting.wiki.dataset.tokens_per_text=32")
TINY = ("model=tiny", "dataset.n_texts=4", "dataset.tokens_per_text=40", "method.n_components=3")
RECOVERY = ("prune.recovery.max_steps=2", "prune.recovery.n_texts=8", "prune.speed_pairs=0")


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Folder of a sweep: all five criteria at two ratios, each with a recovery."""
    folder = tmp_path_factory.mktemp("curves")
    finished(
        "prune.py",
        "-m",
        "experiment=pruning/curves",
        "prune.ratio=0.25,0.5",
        *TINY,
        *ONLY_WIKI,
        *SHORT,
        *RECOVERY,
        f"cache={folder / 'cache'}",
        f"hydra.sweep.dir={folder / 'runs'}",
    )
    return folder / "runs"


def test_the_curves_end_in_a_table_and_a_picture(curves):
    table = pd.read_csv(curves / "sweep" / "pruning.csv")
    losses = table[table["metric"] == "nats_per_token"]
    criteria = ["networks", "magnitude", "wanda", "attribution", "random"]
    assert list(dict.fromkeys(losses["criterion"])) == criteria
    assert losses.groupby(["criterion", "model"])["ratio"].apply(list).tolist() == [[0.25, 0.5]] * 10
    # all of them start from one model, and leave as much at one ratio
    assert losses["before"].nunique() == 1
    assert losses.groupby("ratio")["parameters"].nunique().tolist() == [1, 1]
    assert (losses["ci_low"] <= losses["delta"]).all()
    assert (losses["delta"] <= losses["ci_high"]).all()
    assert (curves / "sweep" / "figures" / "pruning.png").stat().st_size > 10_000


def test_no_checkpoint_is_left_of_the_curves(curves):
    assert not list(curves.rglob("*.safetensors"))


def test_wandb_has_numbers_table_and_picture_of_every_job_and_of_the_sweep(curves):
    (job,) = recorded_runs(curves / "0")
    assert job.exit_code == 0
    assert job.run["job_type"] == "prune"
    assert job.run["run_group"] == recorded_runs(curves / "9")[0].run["run_group"]
    assert job.config["prune"]["criterion"] == "networks"
    table = pd.read_csv(curves / "0" / "tables" / "pruning.csv")
    row = table[(table["model"] == "pruned") & (table["metric"] == "nats_per_token")].iloc[0]
    assert job.summary["perplexity_wiki/nats_per_token"] == pytest.approx(row["after"])
    assert job.summary["pruned/parameters"] == row["parameters"]
    assert job.media("pruning").is_file()
    assert job.media("figures/changes").is_file()
    # the loss of the recovery, while it falls
    assert [step["training/step"] for step in job.history if "training/loss" in step] == [1, 2]
    (sweep,) = recorded_runs(curves / "sweep")
    assert sweep.run["job_type"] == "sweep"
    assert sweep.media("pruning").is_file()
    assert sweep.media("figures/pruning").is_file()
