"""evaluate.py end to end, through the real script."""

import json

import pandas as pd
import pytest
import torch
from scripts import LOCAL_TASK, TINY, finished, result_of, run_script
from transformers import AutoModelForCausalLM
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
    jobs = pd.read_csv(folder / "first" / "sweep" / "jobs.csv")
    assert len(jobs) == 6
    assert jobs["error"].notna().tolist() == [False, True] * 3


def test_a_sweep_ends_in_one_table_pictures_and_a_tracked_run(sweep):
    folder, _ = sweep
    scores = pd.read_parquet(folder / "first" / "sweep" / "scores.parquet")
    assert sorted(scores["factor"].unique()) == [0, 1, 2]
    assert {"value", "baseline", "delta", "ci_low", "ci_high", "control_activation"} <= set(scores)
    assert (
        folder / "first" / "sweep" / "figures" / "dose_perplexity_wiki_nats_per_token.png"
    ).stat().st_size > 5_000
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


def test_networks_of_a_folder_are_used_and_those_of_another_layout_refused(tmp_path):
    extracted = tmp_path / "extracted"
    finished("extract.py", *TINY, "tracking=none", f"hydra.run.dir={extracted}")
    networks = f"networks={extracted / 'networks'}"
    run = tmp_path / "run"
    finished(
        "evaluate.py", *SMALL, networks, "intervention=preserve", "tracking=none", f"hydra.run.dir={run}"
    )
    assert result_of(run)["metrics"][f"delta/{TASK}"] != 0
    done = run_script(
        "evaluate.py",
        *SMALL,
        networks,
        "model.random.hidden_size=32",
        "tracking=none",
        f"hydra.run.dir={run}",
    )
    assert done.returncode == 1
    assert "4 × 64 neurons" in done.stderr
    assert "4 × 32 neurons" in done.stderr


def test_texts_that_networks_come_from_are_not_scored(tmp_path):
    overrides = ("benchmark.dataset.split=train", "tracking=none", f"hydra.run.dir={tmp_path}")
    done = run_script("evaluate.py", *SMALL, *overrides)
    assert done.returncode == 1
    assert "texts of the benchmark are among those that the networks were extracted from" in done.stderr


def test_an_exported_model_loads_without_this_package_and_scores_the_same(tmp_path):
    export, run = tmp_path / "exported", tmp_path / "run"
    common = ("tracking=none", f"cache={tmp_path / 'cache'}", "+model.random.initializer_range=0.5")
    finished(
        "evaluate.py",
        *SMALL,
        *common,
        "intervention=amplify",
        "intervention.factor=3",
        f"export.path={export}",
        f"hydra.run.dir={run}",
    )
    AutoModelForCausalLM.from_pretrained(export, dtype=torch.float32)
    again = tmp_path / "again"
    finished(
        "evaluate.py", *SMALL, *common, f"model.name={export}", "intervention=none", f"hydra.run.dir={again}"
    )
    with_hooks, written = result_of(run)["metrics"], result_of(again)["metrics"]
    assert written[f"baseline/{TASK}"] == pytest.approx(with_hooks[TASK], rel=1e-5)
    assert with_hooks[TASK] != pytest.approx(with_hooks[f"baseline/{TASK}"], rel=1e-4)


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


def test_a_factor_is_chosen_on_dev_and_reported_on_test(tmp_path):
    run = tmp_path / "run"
    overrides = ("intervention=scale", "select_factor=true", "factors=[0,1,4]", "tracking=none")
    finished("evaluate.py", *SMALL, *overrides, f"hydra.run.dir={run}")
    metrics = result_of(run)["metrics"]
    assert metrics[f"selected_factor/{TASK}"] in (0, 1, 4)
    assert metrics["factors_tried"] == 3
    assert f"delta/{TASK}/ci_low" in metrics


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["intervention=amplify", "intervention.factor=0.5"], "amplify needs more than 1"),
        (["intervention=scale", "intervention.factor=much"], "intervention.factor is 'much'"),
        (["controls.repeats=0"], "controls.repeats is 0"),
        (["intervention=inhibit", "select_factor=true"], "select_factor=true chooses a factor"),
        (["benchmark=probes", "benchmark.tasks=[gramar]"], "no probe gramar"),
        (["benchmark=lm_eval"], "benchmark.tasks"),
    ],
)
def test_a_wrong_setting_fails_before_a_model_loads(overrides, said, tmp_path):
    done = run_script(
        "evaluate.py", "model.name=/nowhere", "tracking=none", *overrides, f"hydra.run.dir={tmp_path}"
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "there is no such folder" not in done.stderr


def test_a_sweep_that_cannot_be_put_together_ends_with_an_error_and_keeps_its_jobs(tmp_path):
    (tmp_path / "sweep").write_text("a file stands where the folder of tables has to go")
    done = run_script(
        "evaluate.py",
        "-m",
        *SMALL,
        "intervention=none",
        "seed=0,1",
        "tracking=none",
        f"cache={tmp_path / 'cache'}",
        f"hydra.sweep.dir={tmp_path}",
    )
    assert done.returncode == 1
    assert "error: the jobs are kept, but the sweep is not summarised: FileExistsError" in done.stderr
    assert all(TASK in result_of(tmp_path / job)["metrics"] for job in ("0", "1"))
