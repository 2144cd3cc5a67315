"""Present a sweep that scores several metrics, a line a job: its differences, and which of them are shown."""

import pandas as pd

from fbn_exp.report.inference.sweep import RESULT, drawn_kinds, procedures, swept_choices, tested
from fbn_exp.report.presentation import ROWS, SIGNIFICANT, Presentation

# metrics that fit beside each other
MOST_METRICS = 8
SHOWN, BESIDE_CONTROLS = "*", "†"


def present_per_job(scores: pd.DataFrame) -> Presentation:
    """Present the scores of a sweep with several metrics: a line per job, a column per metric.

    Parameters
    ----------
    scores : DataFrame
        Table of ``fbn_exp.report.inference.sweep.corrected``, not empty.
    """
    kinds = drawn_kinds(scores)
    heads = _heads(scores)
    jobs = list(dict.fromkeys(scores["job"]))
    cells = {tuple(row[RESULT]): _cell(row, kinds) for _, row in scores.iterrows()}
    first = scores.drop_duplicates("job").set_index("job")
    results = list(heads)[:MOST_METRICS]
    rows = pd.DataFrame(
        {
            "job": [str(job) for job in jobs[:ROWS]],
            **{
                head: first.loc[jobs[:ROWS], name].astype(str).to_list()
                for name, head in swept_choices(scores).items()
            },
            **{heads[result]: [cells.get((job, *result), "–") for job in jobs[:ROWS]] for result in results},
        }
    )
    return Presentation(
        title=f"Sweep of {len(jobs)} jobs: differences from the untouched model",
        rows=rows,
        words=tuple(rows.columns[: len(rows.columns) - len(results)]),
        lines=[*_left_out(len(jobs) - ROWS, len(heads) - MOST_METRICS), *_legend(scores, kinds)],
    )


def _left_out(jobs: int, metrics: int) -> list[str]:
    """Say how many jobs and metrics do not fit."""
    parts = [f"{count} more {what}" for count, what in ((jobs, "jobs"), (metrics, "metrics")) if count > 0]
    return [f"… and {' and '.join(parts)} in sweep/scores.csv."] if parts else []


def _legend(scores: pd.DataFrame, kinds: list[str]) -> list[str]:
    """Say what the marks mean, and how many results have one."""
    marks = [_mark(row, kinds) for _, row in scores.iterrows()]
    beside = f"; {BESIDE_CONTROLS} also among the draws of every kind of control" if kinds else ""
    count = sum(SHOWN in mark for mark in marks)
    return [
        f"{SHOWN} p < {SIGNIFICANT:g} against the untouched model{beside}, corrected for all "
        f"{tested(scores, kinds):,} results: {count} of them. Values and each p: sweep/scores.csv.",
        *procedures(scores, kinds),
    ]


def _cell(row: pd.Series, kinds: list[str]) -> str:
    # a job with an untouched model has no difference
    return "–" if pd.isna(row["delta"]) else f"{row['delta']:+.3g}{_mark(row, kinds)}"


def _mark(row: pd.Series, kinds: list[str]) -> str:
    """Return the marks of a result."""
    if not row["p_corrected"] < SIGNIFICANT:
        return ""
    among = bool(kinds) and all(row[f"p_corrected_{kind}"] < SIGNIFICANT for kind in kinds)
    return SHOWN + (BESIDE_CONTROLS if among else "")


def _heads(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Name the column of each task and metric, without a task or metric that all have."""
    results = list(dict.fromkeys(zip(scores["task"], scores["metric"], strict=True)))
    one_task = len({task for task, _ in results}) == 1
    return {
        (task, metric): metric if one_task else f"{task.removeprefix('fbn_')}\n{metric}"
        for task, metric in results
    }
