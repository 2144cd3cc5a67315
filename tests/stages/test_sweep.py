"""What is put together of the jobs of a sweep."""

import csv
import json
from contextlib import contextmanager

import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from fbn_exp.core.errors import NetworksError
from fbn_exp.stages.sweep_callback import _described
from fbn_exp.stages.sweeps.sweep import collect, summarise
from fbn_exp.tracking.base import NoTracker, TrackedRun


def leave(folder, overrides, metrics=None, scores=None, error=None, result=None, **choices):
    """Write what a job leaves."""
    hydra = folder / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    (hydra / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    if metrics is not None:
        (folder / "result.json").write_text(json.dumps({"metrics": metrics, **(result or {})}))
    if scores is not None:
        (folder / "tables").mkdir()
        frame = pd.DataFrame(scores)
        frame.to_csv(folder / "tables" / "scores.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    if error is not None:
        (folder / "failed.txt").write_text(error)


def score(metric, factor, networks="all", **more):
    row = {"intervention": "scale", "task": "tales", "chance": None, "neurons": 3, "activity_ratio": 1.0}
    row |= {"baseline": 0.5, "value": 0.4, "delta": -0.1, "ci_low": -0.2, "ci_high": 0.1, "p_value": 0.2}
    return row | {"metric": metric, "factor": factor, "networks": networks, "n": 4} | more


@pytest.fixture
def sweep(tmp_path):
    """Jobs 2 and 10 finished, 3 failed, 4 was killed."""
    for job, factor in ((10, 1.5), (2, 0.0)):
        rows = [score("acc", factor, higher_is_better=True), score("nats", factor, higher_is_better=False)]
        leave(tmp_path / str(job), [f"intervention.factor={factor}", "+seed=1"], {"tales/acc": 0.4}, rows)
    leave(tmp_path / "3", ["intervention.factor=nan"], error="factor is not a number")
    leave(tmp_path / "4", ["intervention.factor=2"])
    return tmp_path


def test_jobs_are_in_the_order_of_their_numbers_and_those_without_a_result_have_failed(sweep):
    found = collect(sweep)
    assert found.table["job"].tolist() == ["2", "3", "4", "10"]
    assert found.failed == {"3": "factor is not a number", "4": "ended without a result"}
    assert found.table["tales/acc"].notna().tolist() == [True, False, False, True]
    assert found.settings["intervention.factor"].tolist() == ["0.0", "nan", "2", "1.5"]
    assert found.table["override/seed"].dropna().tolist() == ["1", "1"]


def test_scores_of_all_jobs_are_one_table_in_which_booleans_are_booleans(sweep):
    scores = collect(sweep).scores
    assert scores["job"].tolist() == ["2", "2", "10", "10"]
    assert scores["higher_is_better"].dtype == bool
    assert scores["higher_is_better"].tolist() == [True, False] * 2
    assert scores["override/intervention.factor"].tolist() == ["0.0"] * 2 + ["1.5"] * 2
    assert scores["factor"].tolist() == [0, 0, 1.5, 1.5]


def test_corpora_are_those_that_a_job_ran_with_also_where_they_were_not_swept(tmp_path):
    for job, corpus in enumerate(("wiki", "math")):
        metrics = {"consistency/count_rate": 0.1, "consistency/count_rate/chance": 0.01}
        chosen = {"dataset": "news", "dataset@analysis.dataset": corpus}
        leave(tmp_path / str(job), [f"dataset@analysis.dataset={corpus}"], metrics, **chosen)
    figures = collect(tmp_path).figures()
    assert figures.keys() == {"consistency"}
    axes = figures["consistency"]().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["news"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["wiki", "math"]


def test_a_sweep_leaves_tables_and_pictures(sweep):
    figures = summarise(collect(sweep), NoTracker(), "evaluate", {"paper": None})
    assert figures.keys() == {"dose"}
    assert all(file.is_file() for file in figures.values())
    folder = sweep / "sweep"
    assert {file.name for file in folder.iterdir()} == {
        "figures",
        *(f"{name}.{kind}" for name in ("jobs", "scores") for kind in ("csv", "parquet")),
    }
    assert pd.read_parquet(folder / "scores.parquet")["higher_is_better"].dtype == bool


def test_a_job_killed_between_its_phases_has_failed(sweep):
    rows = [score("acc", 3.0, higher_is_better=True)]
    leave(sweep / "5", ["intervention.factor=3"], {"networks": 10.0}, rows, result={"finished": False})
    leave(sweep / "6", ["intervention.factor=4"], {"networks": 10.0}, rows, result={"finished": True})
    found = collect(sweep)
    assert found.failed.keys() == {"3", "4", "5"}
    assert found.failed["5"] == "ended before it had finished: its numbers are not complete"
    assert set(found.scores["job"]) == {"2", "6", "10"}


def test_each_remark_is_said_once_with_the_jobs_that_it_belongs_to(tmp_path):
    remarks = (["of two", "of all", "of two"], ["of all", "of one"], ["of two", "of all"])
    for job, said in enumerate(remarks):
        leave(tmp_path / str(job), [f"seed={job}"], {"networks": 10.0}, result={"remarks": said})
    leave(tmp_path / "3", ["seed=3"], {"networks": 10.0}, error="failed", result={"remarks": ["of none"]})
    found = collect(tmp_path)
    assert found.remark_lines == ["jobs 0, 2: of two", "all jobs: of all", "job 1: of one"]
    said: list[str] = []

    class Kept(TrackedRun):
        def remarks(self, lines):
            said.extend(lines)

    class Keeps(NoTracker):
        @contextmanager
        def run(self, info):
            yield Kept()

    summarise(found, Keeps(), "extract", {"paper": None})
    assert said == found.remark_lines
    table = pd.read_csv(tmp_path / "sweep" / "remarks.csv", dtype=str)
    assert table["jobs"].tolist() == ["0, 2", "0, 1, 2", "1"]
    assert table["remark"].tolist() == ["of two", "of all", "of one"]


def test_a_folder_without_jobs_is_no_sweep(tmp_path):
    with pytest.raises(NetworksError, match="holds no jobs of a sweep"):
        collect(tmp_path)


def test_a_sweep_over_what_has_no_default_is_described_as_it_is_written():
    config = OmegaConf.create({"dataset": {"paths": "???", "n_texts": "${seed}"}, "seed": 3})
    assert _described(config) == {"dataset": {"paths": "???", "n_texts": "${seed}"}, "seed": 3}
