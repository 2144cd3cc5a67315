"""Say in words what tests show, and what they could have shown where they do not."""

from collections.abc import Sequence

import numpy as np

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.benchmarks.inference.draws import AmongDraws
from fbn_exp.benchmarks.inference.paired import Difference
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT

# results in a sentence on what could have been seen; all are in the tables
MOST_NAMES = 6
# results whose value under noise is said
MOST_VALUES = 4
# draws of controls=many
MANY_DRAWS = 99
# short heads of columns
KIND_HEADS = {
    ControlKind.per_block: "block",
    ControlKind.activation: "active",
    ControlKind.rotation: "rotated",
    ControlKind.top_energy: "loudest",
    ControlKind.attribution: "attrib.",
}


def kind_head(kind: ControlKind) -> str:
    """Short name of a kind of control, as the head of a column."""
    return KIND_HEADS.get(kind, kind.value)


def p_head(kind: ControlKind) -> str:
    """Head of the column of p values among the draws of a kind."""
    return f"p\n{kind_head(kind)}"


def p_text(p_value: float) -> str:
    """Format a p value in two digits, without the zero before the point; ``–`` for NaN."""
    if np.isnan(p_value):
        return "–"
    if p_value < 0.001:
        return "<.001"
    if p_value > 0.995:
        return "1"
    digits = 3 if p_value < 0.0095 else 2
    return f"{p_value:.{digits}f}".removeprefix("0")


def interval_text(delta: Difference) -> str:
    """Format a 95% interval; ``–`` where it is not known."""
    if np.isnan([delta.ci_low, delta.ci_high]).any():
        return "–"
    return f"{delta.ci_low:+z.2g} … {delta.ci_high:+z.2g}"


def among_text(among: AmongDraws | None) -> str:
    """Format p among draws: ``↓`` before it if the networks score worse than the draws, ``↑`` if better.

    The side is that on which fewer draws lie beyond the networks: a few extreme draws move the mean.
    """
    if among is None:
        return "–"
    text = p_text(among.p_value)
    return _arrow(among) + text if among.p_value <= SIGNIFICANT else text


def _arrow(among: AmongDraws) -> str:
    return "↓" if among.is_harm else "↑"


def _only_one_sided(found: Difference | AmongDraws) -> bool:
    """Whether networks lie at the end of skewed draws that distances from the median do not show."""
    return isinstance(found, AmongDraws) and found.p_value > SIGNIFICANT and 2 * found.p_side <= SIGNIFICANT


def _one_sided_line(comparisons: Sequence[Comparison]) -> str | None:
    """Say which results lie beyond nearly all draws on their short side, where p is large."""
    names = [
        f"{each.score.name} {kind_head(kind)} {_arrow(found)}{p_text(found.p_side)}"
        for each in comparisons
        for kind, found in each.among.items()
        if _only_one_sided(found)
    ]
    if not names:
        return None
    return (
        "p counts distances from the median, which hardly see the short side of skewed draws; one-sided p "
        f"there: {_listed(names)}."
    )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _noise_line(comparisons: Sequence[Comparison]) -> str:
    """Say where noise of the same norm stands, which is an anchor of the dose and has no p."""
    values = [
        f"{each.score.name} {float(np.mean(each.drawn(ControlKind.noise))):.4g}"
        for each in comparisons
        if len(each.drawn(ControlKind.noise)) > 0
    ]
    more = f" … {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
    return (
        f"Noise of the same norm, mean of its draws: {', '.join(values[:MOST_VALUES])}{more}. It has no p: "
        "no choice of neurons is a draw of it, and random neurons mostly differ from it too."
    )


def inference_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Sentences on what the draws allow, and on the results that show no difference."""
    lines = []
    kinds = dict.fromkeys(kind for each in comparisons for kind in each.among)
    if kinds:
        lines.append(
            "p under a kind of control: two-sided, the networks among its draws of the same intervention on "
            "other neurons; ↓ worse, ↑ better than the draws. Draws and intervals: tables/controls.csv."
        )
    if any(ControlKind.noise in each.controls for each in comparisons):
        lines.append(_noise_line(comparisons))
    fewest = min((found.n_draws for each in comparisons for found in each.among.values()), default=None)
    if fewest is not None and 1 / (1 + fewest) > SIGNIFICANT:
        draws = "1 draw" if fewest == 1 else f"{fewest} draws"
        lines.append(
            f"With {draws} p cannot be below {p_text(1 / (1 + fewest))}: nothing can be shown beside "
            f"controls, whatever the effect. controls=many draws {MANY_DRAWS}."
        )
    if (skewed := _one_sided_line(comparisons)) is not None:
        lines.append(skewed)
    unshown: list[tuple[str, list[tuple[Comparison, Difference | AmongDraws]]]]
    unshown = [("the untouched model", [(each, each.delta) for each in comparisons])]
    for kind in kinds:
        beside = [(each, each.among[kind]) for each in comparisons if kind in each.among]
        unshown.append((f"{kind.value} draws", [(a, b) for a, b in beside if b.smallest_p <= SIGNIFICANT]))
    silent, beside_draws = [], False
    for other, results in unshown:
        names = [
            f"{each.score.name} ({_plus_minus(found.detectable)}; {_plus_minus(found.equivalent_within)})"
            for each, found in results
            if found.p_value > SIGNIFICANT and not _only_one_sided(found)
        ]
        if names:
            silent.append(f"No difference from {other} is shown: {_listed(names)}.")
            beside_draws = any(isinstance(found, AmongDraws) for _, found in results)
    if silent:
        of_mean = "; beside draws, of the difference from their mean" if beside_draws else ""
        lines.append(
            "In brackets, the difference that 80% of experiments would have shown, and the bound within "
            f"which it lies, by its 90% interval{of_mean}:"
        )
    return [*lines, *silent]


def _plus_minus(bound: float) -> str:
    """Format a bound: ``none`` where so few items or draws show no difference of any size."""
    if np.isinf(bound):
        return "none"
    return "unknown" if np.isnan(bound) else f"±{bound:.2g}"
