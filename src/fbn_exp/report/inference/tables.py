"""Tables of the values behind tests: of items, of draws, and of each kind of control."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.benchmarks.inference.draws import AmongDraws
from fbn_exp.benchmarks.score import Score, standard_error
from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind

ControlFactors = Mapping[ControlKind, Sequence[Mapping[str, float]]]
"""Factor that was chosen for each draw, by the name of the score."""

ITEM_COLUMNS = ("task", "metric", "item", "value", "baseline", "weight", "baseline_weight")


def control_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Table with a row per task, metric and kind of control."""
    return pd.DataFrame([row for each in comparisons for row in _control_rows(each)])


def draw_table(comparisons: Sequence[Comparison], factors: ControlFactors | None = None) -> pd.DataFrame:
    """Table with the score of every draw, and the factor that was chosen for it.

    ``difference_error`` is the standard error of its paired difference from the untouched model.
    """
    return pd.DataFrame([row for each in comparisons for row in _draw_rows(each, factors or {})])


def item_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Table of the values of single items, with and without the intervention.

    ``control_<kind>`` is the mean over the draws of a kind of control, for each item.
    """
    frames = [
        pd.DataFrame(
            {
                "task": each.score.task,
                "metric": each.score.metric,
                "item": range(each.score.n),
                "value": each.score.items,
                "baseline": each.baseline.items,
                "weight": each.score.used_weights(),
                "baseline_weight": each.baseline.used_weights(),
                **{f"control_{kind.value}": _mean_items(drawn) for kind, drawn in each.controls.items()},
            }
        )
        for each in comparisons
        if each.score.items is not None
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=list(ITEM_COLUMNS))


def draw_item_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Table of the values of single items under every draw of controls, ``draw_0``, ``draw_1`` and so on."""
    frames = [
        pd.DataFrame(
            {
                "task": each.score.task,
                "metric": each.score.metric,
                "kind": kind.value,
                "item": range(each.score.n),
                **{f"draw_{draw}": score.items for draw, score in enumerate(drawn)},
            }
        )
        for each in comparisons
        for kind, drawn in each.controls.items()
        if all(score.items is not None for score in drawn)
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["task", "metric", "kind", "item"])


def _mean_items(drawn: Sequence[Score]) -> Array:
    """Mean over draws of each item's value; NaN where an item has none."""
    values = np.stack([np.full(score.n, np.nan) if score.items is None else score.items for score in drawn])
    mean: Array = values.mean(axis=0)
    return mean


def among_fields(among: AmongDraws) -> dict[str, float]:
    """Numbers of a comparison with draws, under the names of metrics and of columns."""
    return {
        "p": among.p_value,
        "p_harm": among.p_harm,
        "p_gain": among.p_gain,
        "difference": among.difference,
        "difference/ci_low": among.ci_low,
        "difference/ci_high": among.ci_high,
        "effect_size": among.effect_size,
        "detectable": among.detectable,
        "equivalent_within": among.equivalent_within,
    }


def _control_rows(comparison: Comparison) -> Iterator[dict[str, float | str]]:
    """Rows of the table of controls: one for each kind, references without p values."""
    for kind in comparison.controls:
        drawn = comparison.drawn(kind)
        row: dict[str, float | str] = {
            "task": comparison.score.task,
            "metric": comparison.score.metric,
            "kind": kind.value,
            "draws": len(drawn),
            "value": comparison.score.value,
            "mean": float(drawn.mean()),
            "low": float(drawn.min()),
            "high": float(drawn.max()),
            "rank": comparison.rank(kind),
        }
        if (among := comparison.among.get(kind)) is not None:
            row |= {field.replace("/", "_"): number for field, number in among_fields(among).items()}
        yield row


def _draw_rows(comparison: Comparison, factors: ControlFactors) -> Iterator[dict[str, float | str]]:
    """Rows of the table of draws: the score of every draw."""
    for kind in comparison.controls:
        for draw, score in enumerate(comparison.controls[kind]):
            row: dict[str, float | str] = {
                "task": comparison.score.task,
                "metric": comparison.score.metric,
                "kind": kind.value,
                "draw": draw,
                "value": score.value,
                "difference_error": _error(score, comparison.baseline),
            }
            if kind in factors:
                row["factor"] = factors[kind][draw][comparison.score.name]
            yield row


def _error(score: Score, baseline: Score) -> float:
    """Standard error of the difference of two scores over the same items; NaN where they have none."""
    if score.items is None or baseline.items is None:
        return float("nan")
    return standard_error(score.influence() - baseline.influence(), score.groups)
