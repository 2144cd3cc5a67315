"""Figures of the number of networks: criteria, and reproducibility against prediction."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from fbn_exp.analysis.order import OrderFindings
from fbn_exp.core.rows import Array
from fbn_exp.methods.order import OrderCurve
from fbn_exp.report.style import ACCENT, CHANCE, SECOND


def order_curves_figure(curves: Sequence[OrderCurve], name: str) -> Figure:
    """Draw a criterion over the number of components, one line for the whole model or for each block."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        axes.plot(curve.values, color=ACCENT, lw=1.5 if len(curves) == 1 else 0.8)
        axes.plot(curve.best, curve.values[curve.best], "o", color=SECOND, ms=7 if len(curves) == 1 else 4)
    if len(curves) == 1:
        label, place = f"{curves[0].best}", (curves[0].best, curves[0].values[curves[0].best])
        axes.annotate(label, place, xytext=(0, 8), textcoords="offset points", ha="center", color=SECOND)
        axes.margins(y=0.12)
    axes.set_xlabel("number of networks")
    axes.set_ylabel("log evidence over none, nats")
    axes.set_title(f"Number of networks by {name}", fontsize=10)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def order_figure(findings: OrderFindings) -> Figure:
    """Draw reproducibility against prediction (NPAIRS), and both over the number of networks."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = np.array([point.n_components for point in findings.points])
    quartiles = np.array([np.quantile(point.correlation, [0.25, 0.5, 0.75]) for point in findings.points]).T
    chance = np.array([np.median(point.chance) for point in findings.points])
    overlap = np.array([np.median(point.overlap) for point in findings.points])
    explained = np.array([1 - point.error.mean() for point in findings.points])
    _against(left, counts, explained, quartiles[1], chance)
    _over(right, counts, quartiles, chance, overlap, explained)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Number of networks, over halves of {findings.n_texts} texts", fontsize=10)
    return figure


def _against(axes: Axes, counts: Array, explained: Array, reproduced: Array, chance: Array) -> None:
    axes.plot(explained, chance, "s--", color=CHANCE, ms=4, lw=1, label="random rotations of the subspaces")
    axes.plot(explained, reproduced, "o-", color=ACCENT, label="networks")
    for count, x, y in zip(counts, explained, reproduced, strict=True):
        axes.annotate(str(count), (x, y), xytext=(0, 6), textcoords="offset points", fontsize=8, ha="center")
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("variance predicted, texts and neurons held out")
    axes.set_ylabel("|r| of networks between halves, median")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _over(
    axes: Axes, counts: Array, quartiles: Array, chance: Array, overlap: Array, explained: Array
) -> None:
    axes.fill_between(counts, quartiles[0], quartiles[2], color=ACCENT, alpha=0.2, lw=0)
    axes.plot(counts, quartiles[1], "o-", color=ACCENT, label="|r| between halves, median and quartiles")
    axes.plot(counts, chance, "s--", color=CHANCE, ms=4, lw=1, label="|r| of random rotations")
    axes.plot(counts, overlap, "^-", color=SECOND, ms=5, label="IoU of masks, median")
    axes.plot(counts, explained, "D:", color="black", ms=4, label="variance predicted")
    axes.set_xscale("log")
    axes.set_xticks(counts)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(min(0.0, float(explained.min())), 1.05)
    axes.set_xlabel("number of networks")
    axes.set_ylabel("|r|, IoU, share of variance")
    # below the axes: lines can run anywhere between 0 and 1
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
