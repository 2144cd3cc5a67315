"""Two ranks give what one process gives, through the real scripts."""

import pytest
import torch
from safetensors.torch import load_file
from scripts import TINY, finished, result_of

TWO = ("launch=accelerate", "launch.num_processes=2", "tracking=none")
# batches of one or two texts, so that there is something to divide
SMALL = (*TINY, "dataset.n_texts=9", "signals.batch_tokens=96", "signals.first_tokens_excluded=1")
SCORED = ("benchmark=perplexity,classification", "benchmark.dataset.n_texts=7", "benchmark.batch_tokens=96")


def test_two_ranks_extract_the_networks_of_one_process(tmp_path):
    finished("extract.py", *SMALL, *TWO, f"hydra.run.dir={tmp_path / 'two'}", f"cache={tmp_path}")
    finished("extract.py", *SMALL, "tracking=none", f"hydra.run.dir={tmp_path / 'one'}", f"cache={tmp_path}")
    one, two = (
        load_file(tmp_path / run / "networks" / "networks.safetensors")["maps"] for run in ("one", "two")
    )
    matched = torch.corrcoef(torch.cat([one, two]))[: len(one), len(one) :].abs()
    assert matched.amax(dim=1).min() > 0.9999
    # both have read texts, and nothing of their files is left
    for rank in (0, 1):
        assert "recording" in (tmp_path / "two" / "logs" / f"rank{rank}.log").read_text()
    assert not list((tmp_path / "two").glob("ranks-*"))
    first, second = (result_of(tmp_path / run)["metrics"]["signals/tokens"] for run in ("one", "two"))
    assert first == second


@pytest.mark.slow
def test_two_ranks_score_as_one_process_does(tmp_path):
    scoring = (*SMALL, *SCORED, "controls.repeats=1", "intervention=scale", "intervention.factor=3")
    for run, launch in (("one", ("tracking=none",)), ("two", TWO)):
        finished(
            "evaluate.py",
            "-m",
            *scoring,
            *launch,
            f"hydra.sweep.dir={tmp_path / run}",
            f"cache={tmp_path / run / 'cache'}",
        )
    for job in ("0", "1"):
        one, two = (result_of(tmp_path / run / job)["metrics"] for run in ("one", "two"))
        assert two == pytest.approx(one, rel=1e-6, nan_ok=True)
        for rank in (0, 1):
            log = (tmp_path / "two" / job / "logs" / f"rank{rank}.log").read_text()
            assert "perplexity" in log or "classification" in log


@pytest.mark.slow
def test_two_ranks_train_as_one_process_does_with_batches_twice_as_large(tmp_path):
    training = (
        "model=tiny",
        "dataset=tweets",
        "dataset.n_texts=64",
        "dataset.tokens_per_text=16",
        "task.labels=[negative,positive]",
        "task.dev_texts=16",
        "task.test_texts=16",
        "trainer.max_steps=4",
        "trainer.evaluation_interval=2",
        f"cache={tmp_path}",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    finished("train.py", *training, "trainer.batch_size=8", "tracking=none", f"hydra.run.dir={one}")
    finished("train.py", *training, "trainer.batch_size=4", *TWO, f"hydra.run.dir={two}")
    first, second = (load_file(run / "checkpoint" / "model.safetensors") for run in (one, two))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-4, rtol=1e-3)
    task = "classification_tweets/nats_per_text"
    trained, again = (result_of(run)["metrics"] for run in (one, two))
    assert again[task] == pytest.approx(trained[task], rel=1e-4)
    assert trained[task] != pytest.approx(trained[f"baseline/{task}"], rel=1e-3)
