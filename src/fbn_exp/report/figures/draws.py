"""Figure of one evaluation: its scores among those of every draw of controls."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.words import among_text
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, GREY

KIND_LABELS = {
    "random": "random",
    "per_block": "same blocks",
    "activation": "as active",
    "energy": "same energy",
    "noise": "noise, same norm",
    "rotation": "rotated networks",
    "share": "share of all",
    "top_energy": "most energy",
    "attribution": "most attributed",
}
MOST_PANELS = 12
COLUMNS = 3
# draws above which their density is drawn under them
MANY = 15
# inches
PANEL_WIDTH, ROW_HEIGHT = 4.6, 0.36


def draws_figure(comparisons: Sequence[Comparison], title: str) -> Figure:
    """Draw a panel per task and metric with controls: a row per kind with every draw, lines for the score.

    At most ``MOST_PANELS`` results are drawn; the tables hold all of them.
    """
    shown = [each for each in comparisons if each.controls][:MOST_PANELS]
    columns = 2 if len(shown) == 4 else min(COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    n_kinds = max(len(each.controls) for each in shown)
    figure = Figure(
        figsize=(
            PANEL_WIDTH * columns + (0.4 if columns > 1 else 1.6),
            (ROW_HEIGHT * n_kinds + 1.15) * lines + 0.85,
        ),
        layout="constrained",
    )
    grid = figure.subplots(lines, columns, squeeze=False)
    for place, (axes, comparison) in enumerate(zip(grid.flat, shown, strict=False)):
        _panel(axes, comparison, labelled=place % columns == 0)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    left_out = sum(bool(each.controls) for each in comparisons) - len(shown)
    more = f" (first {len(shown)} results, {left_out} more in tables/scores.csv)" if left_out else ""
    figure.suptitle(title + more, fontsize=11, x=0.01, ha="left")
    legend = _handles(shown)
    figure.legend(
        handles=legend,
        loc="outside lower center",
        ncols=min(len(legend), 3 * columns),
        fontsize=8,
        frameon=False,
    )
    return figure


def _panel(axes: Axes, comparison: Comparison, labelled: bool) -> None:
    kinds = [kind for kind in ControlKind if kind in comparison.controls]
    baseline, value = comparison.baseline.value, comparison.score.value
    low, high = baseline + comparison.delta.ci_low, baseline + comparison.delta.ci_high
    if np.isfinite([low, high]).all():
        axes.axvspan(low, high, color=ACCENT, alpha=0.13, lw=0)
    axes.axvline(value, color=ACCENT, lw=1.8)
    axes.axvline(baseline, color="black", lw=1.1, ls="--")
    chance = comparison.score.chance
    if chance is not None and np.isfinite(chance):
        axes.axvline(chance, color=CHANCE, lw=1.0, ls=":")
    for place, kind in enumerate(kinds):
        drawn = comparison.drawn(kind)
        colour = CONTROL_COLOURS.get(kind.value, GREY)
        if kind in comparison.references:
            # no chance, so no p
            axes.plot(drawn, [place] * len(drawn), "D", ms=6.5, color=colour, mec="white", mew=0.8, zorder=4)
        else:
            _strip(axes, drawn[np.isfinite(drawn)], place, colour)
            if kind in comparison.among:
                _beside(axes, among_text(comparison.among[kind]), place)
    _beside(axes, "p", -0.9)
    axes.set_yticks(
        range(len(kinds)), [KIND_LABELS.get(kind.value, kind.value) for kind in kinds], fontsize=9
    )
    axes.tick_params(axis="y", length=0, labelleft=labelled)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.margins(x=0.04)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(
        f"{comparison.score.task}\n{comparison.score.metric.replace('_', ' ')}", fontsize=9.5, loc="left"
    )
    better = (
        {"s": "better →", "loc": "right"}
        if comparison.score.higher_is_better
        else {"s": "← better", "loc": "left"}
    )
    axes.set_xlabel(better["s"], fontsize=8, loc=better["loc"], color="0.35")  # type: ignore[arg-type]
    axes.spines[["top", "right", "left"]].set_visible(False)


def _beside(axes: Axes, text: str, place: float) -> None:
    """Write to the right of a row."""
    axes.text(
        1.02,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        fontsize=8.5,
        va="center",
        color="0.2",
        clip_on=False,
    )


def _strip(axes: Axes, values: Array, place: int, colour: str) -> None:
    """Draw every value as a point, spread evenly over the height of its row; the median as a bar."""
    if len(values) == 0:
        return
    if len(values) > MANY and np.ptp(values) > 0:
        parts = axes.violinplot(
            values, positions=[place], orientation="horizontal", widths=0.85, showextrema=False
        )
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, alpha=0.28, edgecolor="none")
    # the golden ratio spreads neighbours over the height, without a random number
    height = 0.5 if len(values) > MANY else 0.3
    heights = place + height * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
    size = 5.5 if len(values) <= MANY else 3.2
    axes.plot(values, heights, "o", ms=size, color=colour, alpha=0.8, mec="white", mew=0.35, zorder=3)
    axes.plot([np.median(values)] * 2, [place - 0.33, place + 0.33], color=colour, lw=2.2, zorder=3.5)


def _handles(shown: Sequence[Comparison]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=ACCENT, lw=1.8, label="networks"),
        Patch(color=ACCENT, alpha=0.13, lw=0, label="95% interval of the difference"),
        Line2D([], [], color="black", lw=1.1, ls="--", label="untouched"),
        Line2D([], [], color="0.4", marker="o", ms=4.5, lw=0, label="a draw"),
        Line2D([], [], color="0.4", marker="|", ms=11, mew=2.2, lw=0, label="median of the draws"),
    ]
    if any(each.references for each in shown):
        handles.append(Line2D([], [], color="0.4", marker="D", ms=6, lw=0, label="reference, no chance"))
    if any(each.score.chance is not None for each in shown):
        handles.append(Line2D([], [], color=CHANCE, lw=1.0, ls=":", label="guessing"))
    return handles
