"""A sweep without scores ends with a line per job."""

import pandas as pd

from fbn_exp.report.sweep.jobs import present_jobs


def jobs(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(
        {"job": ["0", "1"], "override/model": "tiny", "override/method": ["ica", "pca"], **columns}
    )


def test_a_line_per_job_has_what_differs_and_its_main_number():
    table = jobs(error=["", ""], **{"method/seconds": [1.0, 2.0], "explained_variance": [0.5, 0.25]})
    presentation = present_jobs(table)
    assert presentation.rows.to_dict("list") == {
        "job": ["0", "1"],
        "method": ["ica", "pca"],
        "explained_variance": ["0.5", "0.25"],
    }


def test_a_failed_job_says_so_in_its_line():
    presentation = present_jobs(jobs(error=["", "boom"], explained_variance=[0.5, float("nan")]))
    assert presentation.rows["explained_variance"].tolist() == ["0.5", "failed"]


def test_without_a_headline_numbers_that_differ_are_shown():
    table = jobs(error=["", ""], **{"mine/a": [1.0, 1.0], "mine/b": [1.0, 2.0], "memory/peak_gib": [1, 2]})
    assert list(present_jobs(table).rows) == ["job", "method", "mine\nb"]
