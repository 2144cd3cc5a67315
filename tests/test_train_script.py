"""train.py end to end, through the real script: a sweep over what is trained, its table, and wandb."""

import pandas as pd
import pytest
from in_process import marked_texts, run_stage
from scripts import finished, run_script
from wandb_files import recorded_runs

# reading the other corpora takes longer than all the training
ONLY_WIKI = ("~forgetting.news", "~forgetting.math", "~forgetting.code")
CHOICES = ["all", "inside", "outside", "lora", "inside_control"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    texts = (*marked_texts(folder / "marked.jsonl"), f"cache={folder / 'cache'}", "model=tiny")
    few = ("dataset.n_texts=12", "dataset.split=train", "method.n_components=3")
    run_stage("extract", folder / "found", *texts, *few)
    finished(
        "train.py",
        "-m",
        *texts,
        f"trainable={','.join(CHOICES)}",
        "task=language_modeling",
        f"networks={folder / 'found' / 'networks'}",
        "forgetting=corpora",
        *ONLY_WIKI,
        "trainer.max_steps=2",
        "trainer.evaluation_interval=2",
        "task.dev_texts=4",
        "task.test_texts=4",
        f"hydra.sweep.dir={folder / 'runs'}",
    )
    return folder / "runs"


def test_a_sweep_over_what_is_trained_makes_one_forgetting_table(sweep):
    table = pd.read_csv(sweep / "sweep" / "forgetting.csv")
    named = ["all", "inside", "outside", "lora 8", "inside activation control"]
    assert list(dict.fromkeys(table["trainable"])) == named
    assert table.groupby("trainable").size().nunique() == 1
    # every choice starts from the same model
    assert (table.groupby(["role", "task", "metric"])["before"].nunique() == 1).all()
    jobs = pd.read_csv(sweep / "sweep" / "jobs.csv")
    trained = dict(zip(jobs["override/trainable"], jobs["parameters/trainable"], strict=True))
    assert trained["inside"] == trained["inside_control"]
    assert trained["inside"] + trained["outside"] == trained["all"]


def test_wandb_sees_the_loss_while_it_falls_and_the_numbers_of_the_end(sweep):
    (run,) = recorded_runs(sweep / "0")
    assert run.run["job_type"] == "train"
    assert [row["training/step"] for row in run.history if "training/loss" in row]
    assert run.summary["perplexity_files/nats_per_token/n"] == 4
    assert "delta/perplexity_wiki/nats_per_token" in run.summary


def test_a_run_without_the_networks_that_it_needs_says_so_in_one_line(tmp_path):
    done = run_script("train.py", "trainable=inside", "tracking=none", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 1
    assert "needs networks: networks=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
