"""P values over a sweep, corrected for all of its results; the table of a sweep on the console."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.families import FLIPS, can_pass, holm, max_t_over_draws, max_t_over_items
from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.words import p_head, p_text
from fbn_exp.report.presentation import ROWS, SIGNIFICANT, Presentation

RESULT = ["job", "task", "metric"]
MAX_T, HOLM = "max-T", "Holm"
# signs of all items held at once, and the fewest flips
MOST_SIGNS, FEWEST_FLIPS = 50_000_000, 999


def corrected(scores: pd.DataFrame, items: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Add p values that are corrected for all results of a sweep.

    ``p_corrected`` for the difference from the untouched model, ``p_corrected_<kind>`` for the place among
    the draws of a kind of control; ``correction`` and ``correction_<kind>`` name the procedure: max-T where
    the values of items or equally many draws of all results are at hand, else Holm.

    Parameters
    ----------
    scores : DataFrame
        One row per job, task and metric.
    items, draws : DataFrame
        Values of items, and of draws of controls, of all jobs; empty if none were kept.
    """
    if scores.empty or "p_value" not in scores:
        return scores
    table = scores.copy()
    tested = table["intervention"] != "none"
    differences = _differences(table[tested], items)
    if differences is None:
        table.loc[tested, "p_corrected"] = holm(table.loc[tested, "p_value"].to_numpy(dtype=float))
    else:
        flips = int(np.clip(MOST_SIGNS // len(differences), FEWEST_FLIPS, FLIPS))
        table.loc[tested, "p_corrected"] = max_t_over_items(differences, draws=flips)
    table.loc[tested, "correction"] = HOLM if differences is None else MAX_T
    for kind in drawn_kinds(table):
        drawn = _drawn(table[tested], draws, kind)
        p_values = table.loc[tested, f"p_{kind}"].to_numpy(dtype=float)
        adjusted = holm(p_values) if drawn is None else max_t_over_draws(drawn)
        table.loc[tested, f"p_corrected_{kind}"] = adjusted
        table.loc[tested, f"correction_{kind}"] = HOLM if drawn is None else MAX_T
    return table


def drawn_kinds(scores: pd.DataFrame) -> list[str]:
    """Kinds of chance that were drawn in any job."""
    names = [kind.value for kind in ControlKind if kind.is_chance]
    return [name for name in names if f"p_{name}" in scores and scores[f"p_{name}"].notna().any()]


def _differences(scores: pd.DataFrame, items: pd.DataFrame) -> Array | None:
    """Contribution of each item to each result's difference, shape (items, results), NaN where not scored.

    None if a result with a p value has no items.
    """
    if items.empty or "weight" not in items or len(scores) == 0:
        return None
    sums = items.groupby(RESULT)[["weight", "baseline_weight"]].transform("sum")
    change = (
        items["weight"] * items["value"] / sums["weight"]
        - items["baseline_weight"] * items["baseline"] / sums["baseline_weight"]
    )
    table = items.assign(change=change, of_task=items["task"]).pivot(
        index=["of_task", "item"], columns=RESULT, values="change"
    )
    table = table.reindex(columns=pd.MultiIndex.from_frame(scores[RESULT]))
    known = table.notna().any().to_numpy()
    if (scores["p_value"].notna().to_numpy() & ~known).any():
        return None
    # an item that is not finite leaves its result without a p value
    values: Array = np.where(scores["p_value"].notna(), table.to_numpy(dtype=float), np.nan)
    return values


def _drawn(scores: pd.DataFrame, draws: pd.DataFrame, kind: str) -> Array | None:
    """Score of each result and of its draws of a kind, shape (1 + R, results); None if numbers differ."""
    if draws.empty:
        return None
    table = draws[draws["kind"] == kind].pivot(index="draw", columns=RESULT, values="value")
    counts = draws[draws["kind"] == kind].groupby(RESULT).size()
    if counts.nunique() != 1:
        return None
    table = table.reindex(columns=pd.MultiIndex.from_frame(scores[RESULT]))
    return np.vstack([scores["value"].to_numpy(dtype=float), table.to_numpy(dtype=float)])


def present_scores(scores: pd.DataFrame) -> Presentation:
    """Present the scores of a sweep of one metric: a line per result, p values corrected for all of them.

    Parameters
    ----------
    scores : DataFrame
        Table of ``corrected``, not empty.
    """
    kinds = drawn_kinds(scores)
    swept = swept_choices(scores)
    shown = scores.head(ROWS)
    tasks = scores["task"].unique()
    only_task = str(tasks[0]) if len(tasks) == 1 else None
    rows = pd.DataFrame(
        {
            "job": shown["job"].astype(str),
            **{head: shown[name].astype(str) for name, head in swept.items()},
            **(
                {"metric": shown["metric"]}
                if only_task is not None
                else {"task / metric": shown["task"] + "/" + shown["metric"]}
            ),
            "value": shown["value"].map("{:.4g}".format),
            "difference": shown["delta"].map("{:+.4g}".format),
            "p": shown["p_corrected"].map(p_text),
            **{p_head(ControlKind(kind)): shown[f"p_corrected_{kind}"].map(p_text) for kind in kinds},
        }
    )
    left_out = [f"… and {len(scores) - ROWS} more results in sweep/scores.csv."] if len(scores) > ROWS else []
    words = tuple(rows.columns[: 2 + len(swept)])
    of_task = "" if only_task is None else f" on {only_task}"
    return Presentation(
        title=f"Sweep{of_task}: p corrected for all {tested(scores, kinds):,} results",
        rows=rows,
        words=words,
        lines=[*left_out, *procedures(scores, kinds)],
    )


def swept_choices(scores: pd.DataFrame) -> dict[str, str]:
    """Columns of the choices that differ between jobs, with their heads."""
    return {
        str(name): str(name).rpartition(".")[2].removeprefix("override/")
        for name in scores
        if str(name).startswith("override/") and scores[name].nunique(dropna=False) > 1
    }


def tested(scores: pd.DataFrame, kinds: list[str]) -> int:
    """Number of results with a p value, against the untouched model or among draws."""
    columns = ["p_corrected", *(f"p_corrected_{kind}" for kind in kinds)]
    return int(scores[columns].notna().any(axis=1).sum())


def procedures(scores: pd.DataFrame, kinds: list[str]) -> Iterator[str]:
    """Yield how p was corrected, and where no result could pass."""
    columns = {"untouched": "correction", **{kind: f"correction_{kind}" for kind in kinds}}
    used = {name: str(scores[column].dropna().iloc[0]) for name, column in columns.items()}
    by_holm = ", ".join(name for name, how in used.items() if how == HOLM)
    yield "p is corrected by max-T over all results" + (
        f"; by Holm for {by_holm}, whose items or draws are not at hand for all." if by_holm else "."
    )
    too_few: dict[float, list[str]] = {}
    for kind in kinds:
        smallest = 1 / (1 + float(scores[f"draws_{kind}"].min()))
        n_tests = 1 if used[kind] == MAX_T else int(scores[f"p_{kind}"].notna().sum())
        if not can_pass(smallest, n_tests, SIGNIFICANT):
            too_few.setdefault(min(1.0, smallest * n_tests), []).append(kind)
    for bound, names in too_few.items():
        yield f"With so few draws of {', '.join(names)}, p cannot be below {p_text(bound)} after correction."
