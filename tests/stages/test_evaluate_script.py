"""evaluate.py end to end, through the real script."""

import json

import pandas as pd
import pytest
from scripts import LOCAL_TASK, TINY, finished, result_of, run_script
from wandb_files import recorded_runs

SMALL = (*TINY, "dataset.n_texts=16", "benchmark.dataset.n_texts=4", "controls.repeats=2")
TASK = "perplexity_wiki/nats_per_token"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three factors on two choices of networks, one of which does not exist; run twice over."""
    folder = tmp_path_factory.mktemp("sweep")
    overrides = ("intervention=scale", "intervention.factor=0,1,2", "intervention.networks=all,[7]")
    cache = f"cache={folder / 'cache'}"
    runs = [
        run_script("evaluate.py", "-m", *SMALL, *overrides, cache, f"hydra.sweep.dir={folder / run}")
        for run in ("first", "second")
    ]
    return folder, runs


def test_every_result_has_its_baseline_difference_interval_and_controls(sweep):
    folder, _ = sweep
    metrics = result_of(folder / "first" / "0")["metrics"]
    names = {TASK, f"baseline/{TASK}", f"delta/{TASK}", f"delta/{TASK}/ci_low", f"delta/{TASK}/ci_high"}
    names |= {f"control/{kind}/{TASK}" for kind in ("random", "per_block", "activation")}
    assert names <= set(metrics)
    assert metrics[f"delta/{TASK}"] == pytest.approx(metrics[TASK] - metrics[f"baseline/{TASK}"])
    assert metrics[f"delta/{TASK}/ci_low"] <= metrics[f"delta/{TASK}"] <= metrics[f"delta/{TASK}/ci_high"]


def test_a_factor_of_one_changes_nothing_at_all(sweep):
    folder, _ = sweep
    metrics = result_of(folder / "first" / "2")["metrics"]
    for name in (TASK, *(f"control/{kind}/{TASK}" for kind in ("random", "per_block", "activation"))):
        assert metrics[name] == metrics[f"baseline/{TASK}"]


def test_one_failed_choice_is_named_and_the_other_jobs_are_kept(sweep):
    folder, runs = sweep
    for job in (1, 3, 5):
        assert f"job {job} failed: intervention.networks names [7]" in runs[0].stderr
    assert runs[0].returncode == 1
    assert "error: 3 jobs failed, the others are kept" in runs[0].stderr
    jobs = pd.read_csv(folder / "first" / "sweep" / "jobs.csv")
    assert len(jobs) == 6
    assert jobs["error"].notna().tolist() == [False, True] * 3


def test_a_sweep_ends_in_one_table_pictures_and_a_tracked_run(sweep):
    folder, _ = sweep
    scores = pd.read_parquet(folder / "first" / "sweep" / "scores.parquet")
    assert sorted(scores["factor"].unique()) == [0, 1, 2]
    assert {"value", "baseline", "delta", "ci_low", "ci_high", "control_activation"} <= set(scores)
    assert (folder / "first" / "sweep" / "figures" / "dose.png").stat().st_size > 5_000
    (run,) = recorded_runs(folder / "first" / "sweep")
    assert run.run["job_type"] == "sweep"
    assert run.summary["jobs/failed"] == 3
    assert run.media("scores").is_file()


def test_a_second_run_takes_everything_from_the_cache_and_agrees(sweep):
    folder, runs = sweep
    for job in ("0", "2", "4"):
        first, second = (result_of(folder / run / job)["metrics"] for run in ("first", "second"))
        assert first == second
    assert "0 scorings in" in runs[1].stderr
    assert "recording" not in runs[1].stderr


def test_lm_eval_runs_beside_a_script_that_has_the_name_of_a_package_it_imports(tmp_path):
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    data = tmp_path / "mine.jsonl"
    rows = [{"question": f"Is {number} even?", "label": number % 2} for number in range(12)]
    data.write_text("\n".join(map(json.dumps, rows)))
    (tasks / "mine.yaml").write_text(LOCAL_TASK.format(data=data))
    run = tmp_path / "run"
    finished(
        "evaluate.py",
        *TINY,
        "controls.repeats=1",
        "benchmark=lm_eval",
        "benchmark.tasks=[mine]",
        f"benchmark.include_path={tasks}",
        "objective=mine/acc",
        "tracking=none",
        f"hydra.run.dir={run}",
    )
    result = result_of(run)["metrics"]
    assert result["mine/acc/n"] == 12
    assert 0 <= result["mine/acc"] <= 1
