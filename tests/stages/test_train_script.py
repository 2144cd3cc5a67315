"""train.py end to end, through the real script: a sweep over what is trained, its table, and wandb."""

import pandas as pd
import pytest
import torch
from in_process import marked_texts, run_stage
from safetensors.torch import load_file
from scripts import finished, killed_once, run_script
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
    assert table.groupby("job")["trained_parameters"].first().tolist() == list(trained.values())


def test_the_sweep_ends_in_a_picture_of_the_table_that_wandb_has_too(sweep):
    assert (sweep / "sweep" / "figures" / "forgetting.png").stat().st_size > 10_000
    (run,) = recorded_runs(sweep / "sweep")
    assert run.summary["figures/forgetting._type"] == "image-file"


def test_wandb_sees_the_loss_while_it_falls_and_the_numbers_of_the_end(sweep):
    (run,) = recorded_runs(sweep / "0")
    assert run.run["job_type"] == "train"
    assert [row["training/step"] for row in run.history if "training/loss" in row] == [1, 2]
    assert run.summary["perplexity_files/nats_per_token/n"] == 4
    assert "delta/perplexity_wiki/nats_per_token" in run.summary


@pytest.mark.slow
@pytest.mark.parametrize(("trainable", "task"), [("inside", "classification"), ("all", "language_modeling")])
def test_a_run_that_is_killed_goes_on_to_the_very_same_weights(trainable, task, sweep, tmp_path):
    found = sweep.parent / "found" / "networks"
    setting = (
        *marked_texts(tmp_path / "marked.jsonl"),
        "model=tiny",
        f"trainable={trainable}",
        f"task={task}",
        f"networks={found}",
        "trainer.gradient_accumulation=2",
        "trainer.batch_size=3",
        "trainer.max_steps=100",
        "trainer.evaluation_interval=10",
        "trainer.patience=null",
        "task.dev_texts=4",
        "task.test_texts=4",
    )
    run_stage("train", tmp_path / "whole", *setting)
    killed, again = tmp_path / "killed", tmp_path / "again"
    script = ("train.py", *setting, "tracking=none")
    some = killed / "checkpoints" / "checkpoint-20" / "trainer_state.json"
    killed_once(*script, f"hydra.run.dir={killed}", written=some)
    assert not (killed / "checkpoint").exists()
    finished(*script, f"trainer.resume={killed}", f"hydra.run.dir={again}")
    resumed = load_file(again / "checkpoint" / "model.safetensors")
    whole = load_file(tmp_path / "whole" / "checkpoint" / "model.safetensors")
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
    assert pd.read_csv(again / "tables" / "training.csv")["step"].iloc[-1] == 100


def test_a_run_without_the_networks_that_it_needs_says_so_in_one_line(tmp_path):
    done = run_script("train.py", "trainable=inside", "tracking=none", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 1
    assert "needs networks: networks=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
