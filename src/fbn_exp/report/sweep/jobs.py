"""Present the jobs of a sweep, a line each: what differs between them, and their main results."""

import pandas as pd

from fbn_exp.report.networks import UNION_SIZE
from fbn_exp.report.presentation import ROWS, Presentation

OVERRIDE = "override/"
# numbers of a stage that come first, where jobs have them
HEADLINES = (
    "explained_variance",
    UNION_SIZE,
    "reliability/iq_mean",
    "consistency/count_rate",
    "consistency/recurring",
    "overlap/matched_iou",
    "connectivity/mean_absolute",
    "order/best",
    "keystones/count",
)
MOST_NUMBERS = 4
# numbers that say nothing about a result
ABOUT_THE_RUN = ("memory/", "recording/", "method/seconds")


def present_jobs(jobs: pd.DataFrame) -> Presentation:
    """Present a sweep whose jobs score nothing.

    Parameters
    ----------
    jobs : DataFrame
        One row per job: ``job``, its overrides as ``override/…``, ``error``, and flat metrics.
    """
    swept = [name for name in jobs if str(name).startswith(OVERRIDE) and jobs[name].nunique(dropna=False) > 1]
    numbers = _main_numbers(jobs)
    shown = jobs.head(ROWS)
    failed = (shown["error"].fillna("") != "").to_numpy()
    rows = pd.DataFrame(
        {
            "job": shown["job"].astype(str),
            **{str(name).removeprefix(OVERRIDE): shown[name].astype(str) for name in swept},
            **{
                name.replace("/", "\n"): [
                    "failed" if wrong else "–" if pd.isna(value) else f"{value:.4g}"
                    for value, wrong in zip(shown[name], failed, strict=True)
                ]
                for name in numbers
            },
        }
    )
    left_out = [f"… and {len(jobs) - ROWS} more jobs in sweep/jobs.csv."] if len(jobs) > ROWS else []
    return Presentation(
        title=f"Sweep of {len(jobs)} jobs",
        rows=rows,
        words=tuple(rows.columns[: 1 + len(swept)]),
        lines=left_out,
    )


def _main_numbers(jobs: pd.DataFrame) -> list[str]:
    """Metrics to show: the headlines, or else the first ones that differ between jobs."""
    known = [name for name in HEADLINES if name in jobs]
    if known:
        return known[:MOST_NUMBERS]
    metrics = jobs.drop(columns=["job", "error"]).select_dtypes("number")
    different = [
        str(name)
        for name in metrics
        if not str(name).startswith((OVERRIDE, *ABOUT_THE_RUN)) and metrics[name].nunique() > 1
    ]
    return different[:MOST_NUMBERS]
