"""The table of a sweep with several metrics has a line per job and marks what is shown."""

import pandas as pd

from fbn_exp.report.sweep.per_job import present_per_job

TASKS = [("fbn_code", "acc"), ("tales", "nats")]


def scores(n_jobs=2, tasks=TASKS, kinds=("random",)):
    """Table of jobs and tasks in which job 0 has a result on each task that is beside all kinds but one."""
    rows = [
        {
            "job": str(job),
            "override/intervention.networks": f"[{job}]",
            "task": task,
            "metric": metric,
            "intervention": "inhibit",
            "delta": -0.25 if job == 0 else 0.5,
            "value": 0.5,
            "p_value": 0.01,
            "p_corrected": 0.03 if job == 0 else 0.2,
            "correction": "max-T",
        }
        | {
            key: value
            for kind in kinds
            for key, value in {
                f"p_{kind}": 0.01,
                f"draws_{kind}": 99,
                f"p_corrected_{kind}": 0.2 if kind == "rotation" or task == "tales" else 0.02,
                f"correction_{kind}": "max-T",
            }.items()
        }
        for job in range(n_jobs)
        for task, metric in tasks
    ]
    return pd.DataFrame(rows)


def test_a_job_has_one_line_and_each_metric_a_column():
    shown = present_per_job(scores())
    assert list(shown.rows) == ["job", "networks", "code\nacc", "tales\nnats"]
    assert shown.rows.to_numpy().tolist() == [["0", "[0]", "-0.25*†", "-0.25*"], ["1", "[1]", "+0.5", "+0.5"]]
    assert shown.words == ("job", "networks")
    assert "corrected for all 4 results: 2 of them" in shown.lines[0]


def test_a_result_is_beside_controls_only_where_it_is_beside_each_kind():
    shown = present_per_job(scores(kinds=("random", "rotation")))
    assert shown.rows["code\nacc"].tolist() == ["-0.25*", "+0.5"]


def test_without_controls_there_is_one_mark():
    shown = present_per_job(scores(kinds=()))
    assert shown.rows["code\nacc"].tolist() == ["-0.25*", "+0.5"]
    assert "†" not in " ".join(shown.lines)


def test_metrics_of_one_task_are_named_alone_and_what_was_not_scored_is_a_dash():
    table = scores(tasks=[("generation", "length"), ("generation", "distinct_1")])
    shown = present_per_job(table.drop(index=3).assign(delta=[None, -1.0, 2.0, 1.0][:3]))
    assert shown.rows["length"].tolist() == ["–", "+2"]
    assert shown.rows["distinct_1"].tolist() == ["-1*†", "–"]


def test_what_does_not_fit_is_counted():
    many = scores(n_jobs=25, tasks=[(f"task{place}", "acc") for place in range(10)])
    shown = present_per_job(many)
    assert shown.rows.shape == (20, 2 + 8)
    assert shown.lines[0] == "… and 5 more jobs and 2 more metrics in sweep/scores.csv."
