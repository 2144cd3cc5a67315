"""Two ranks give what one process gives, through the real scripts."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from in_process import run_stage
from safetensors.torch import load_file
from scripts import LOCAL_TASK, TINY, finished, result_of

# evaluate.py with ranks that say how much they did
COUNTED = str(Path(__file__).with_name("counted_evaluate.py"))
TWO = ("launch=accelerate", "launch.num_processes=2", "tracking=none")
# batches of one or two texts, so that there is something to divide
SMALL = (*TINY, "dataset.n_texts=9", "signals.batch_tokens=96", "signals.first_tokens_excluded=1")
# few items in batches that both ranks get some of
TEXTS = ("benchmark.dataset.n_texts=7", "benchmark.batch_tokens=96")
SCORED = {
    "perplexity": TEXTS,
    "divergence": TEXTS,
    "classification": TEXTS,
    "generation": (
        "benchmark.prompts=[One,Two of,Three of us]",
        "benchmark.new_tokens=8",
        "benchmark.batch_size=1",
    ),
    "probes": ("benchmark.tasks=[grammar]", "benchmark.limit=15", "benchmark.batch_size=2"),
}


def test_two_ranks_extract_the_networks_of_one_process(tmp_path):
    finished("extract.py", *SMALL, *TWO, f"hydra.run.dir={tmp_path / 'two'}", f"cache={tmp_path}")
    run_stage("extract", tmp_path / "one", *SMALL, f"cache={tmp_path}")
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


@pytest.fixture
def local_task(tmp_path):
    """A task of the harness that needs no download."""
    (tmp_path / "tasks").mkdir()
    rows = [{"question": f"Is {number} even?", "label": number % 2} for number in range(15)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks" / "mine.yaml").write_text(LOCAL_TASK.format(data=tmp_path / "mine.jsonl"))
    return (
        "benchmark.tasks=[mine]",
        f"benchmark.include_path={tmp_path / 'tasks'}",
        "benchmark.batch_size=2",
    )


@pytest.mark.slow
def test_two_ranks_find_the_keystones_of_one_process(tmp_path):
    scan = (*SMALL, "analysis=keystones", "analysis.n_neurons=7", "analysis.dataset.n_texts=3")
    # weights so large that single neurons matter, more or less
    scan += ("+model.random.initializer_range=0.5", "analysis.minimum_nats=0.001", "analysis.batch_tokens=96")
    one = run_stage("evaluate", tmp_path / "one", *scan, f"cache={tmp_path / 'one'}")
    run = tmp_path / "two"
    finished("evaluate.py", *scan, *TWO, f"hydra.run.dir={run}", f"cache={tmp_path / 'two'}")
    assert result_of(run)["metrics"] == pytest.approx(one, rel=1e-5, abs=1e-7, nan_ok=True)
    assert one["keystones/count"] > 0
    first, second = (pd.read_csv(tmp_path / each / "tables" / "keystones.csv") for each in ("one", "two"))
    assert first["nats"].nunique() == 7
    pd.testing.assert_frame_equal(first, second, rtol=1e-5)
    # untouched, and without each neuron: the ranks share these
    for rank in (0, 1):
        assert "8 edits" in (run / "logs" / f"rank{rank}.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", [*SCORED, "lm_eval"])
def test_two_ranks_score_as_one_process_does(benchmark, local_task, tmp_path):
    scoring = (*SMALL, f"benchmark={benchmark}", *SCORED.get(benchmark, local_task))
    # weights so large that the answers differ
    scoring += ("+model.random.initializer_range=0.5", "controls.repeats=1", "intervention=inhibit")
    one = run_stage("evaluate", tmp_path / "one", *scoring, f"cache={tmp_path / 'one'}")
    run = tmp_path / "two"
    finished(COUNTED, *scoring, *TWO, f"hydra.run.dir={run}", f"cache={tmp_path / 'two'}")
    two = result_of(run)["metrics"]
    assert two == pytest.approx(one, rel=1e-6, nan_ok=True)
    first, second = (items_of(tmp_path / each) for each in ("one", "two"))
    assert first["value"].nunique() > 1
    pd.testing.assert_frame_equal(first, second, rtol=1e-6)
    # each has scored its part: with these batches about a half, and packed rows differ in length
    fewer, more = sorted(int((run / f"passes{rank}").read_text()) for rank in (0, 1))
    assert 0 < fewer <= more <= 2 * fewer


def items_of(run):
    """Scores of single items."""
    return pd.read_csv(run / "tables" / "items.csv")


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
        # scored before training, by both ranks, and after it
        "forgetting=corpora",
        "~forgetting.math",
        "~forgetting.code",
        "forgetting.wiki.dataset.n_texts=3",
        "forgetting.news.dataset.n_texts=3",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    alone = ("trainer.batch_size=8", "tracking=none", f"hydra.run.dir={one}", f"cache={one / 'cache'}")
    finished("train.py", *training, *alone)
    shared = ("trainer.batch_size=4", f"hydra.run.dir={two}", f"cache={two / 'cache'}")
    finished("train.py", *training, *TWO, *shared, "launch.timeout_minutes=3")
    first, second = (load_file(run / "checkpoint" / "model.safetensors") for run in (one, two))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-4, rtol=1e-3)
    task = "classification_tweets/nats_per_text"
    trained, again = (result_of(run)["metrics"] for run in (one, two))
    assert again[task] == pytest.approx(trained[task], rel=1e-4)
    assert trained[task] != pytest.approx(trained[f"baseline/{task}"], rel=1e-3)
    for name in ("tables/forgetting.csv", "tables/training.csv"):
        first, second = (pd.read_csv(run / name).select_dtypes("number") for run in (one, two))
        assert len(first) > 1
        pd.testing.assert_frame_equal(second, first, rtol=2e-3, atol=1e-4)
