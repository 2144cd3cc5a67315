"""Figures of reliability: networks beside the null, clusters of estimates, curve over model order."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray
from torch import Tensor

from fbn_exp.core.files import Drawings
from fbn_exp.reliability.base import ReliabilityReport
from fbn_exp.report.style import ACCENT, GREY, SECOND

Array = NDArray[np.floating]

MOST_ESTIMATES = 1_500
NUMBERED = 20
# ticks of the colour bar of p values
P_STEPS = (0.0, 0.01, 0.05, 0.1, 0.2, 1.0)


def reliability_figures(report: ReliabilityReport) -> Drawings:
    """Return the figures of a reliability analysis."""
    figures = {"reliability": partial(reliability, report)}
    if len(report.similarity) <= MOST_ESTIMATES:
        figures["reliability_clusters"] = partial(clusters, report.similarity, report.labels)
    if report.orders:
        figures["model_order"] = partial(model_order, report.orders)
    return figures


def reliability(report: ReliabilityReport) -> Figure:
    """Draw the reproducibility of networks, coloured by p, beside the null; Iq and split-half as marks."""
    count = len(report.statistics["iq"])
    figure = Figure(figsize=(min(15, 6 + 0.2 * count), 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[5, 1], sharey=True)
    coloured = _networks(left, {name: values.numpy() for name, values in report.statistics.items()})
    if coloured is not None:
        figure.colorbar(coloured, ax=right, label="p", pad=0.05)
    left.set_xlabel("network")
    left.xaxis.set_major_locator(MaxNLocator(min(count, NUMBERED), integer=True, min_n_ticks=1))
    left.grid(axis="y", alpha=0.3)
    _null(left, right, report.null.numpy())
    left.legend(fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.suptitle(
        f"Reliability of networks over {int(report.metrics['runs'])} runs [null: {report.null_name}]",
        fontsize=10,
    )
    return figure


def _networks(axes: Axes, statistics: Mapping[str, Array]) -> PathCollection | None:
    """Draw the marks of every network; return those coloured by p, if there are p values."""
    place, between = np.arange(len(statistics["iq"])), "|r| between runs"
    coloured = None
    if "p_value" in statistics:
        coloured = axes.scatter(
            place,
            statistics["reproducibility"],
            c=statistics["p_value"],
            cmap="viridis",
            norm=BoundaryNorm(P_STEPS, 256),
            s=46,
            zorder=3,
            label=between,
        )
    else:
        axes.scatter(place, statistics["reproducibility"], color=ACCENT, s=46, label=between)
    axes.scatter(place, statistics["iq"], marker="_", color=SECOND, s=90, zorder=2, label="Iq")
    if "split_half" in statistics:
        halves = "|r| between halves of the texts"
        axes.scatter(place, statistics["split_half"], marker="x", color="black", s=24, zorder=2, label=halves)
    axes.set_ylim(min(0.0, float(statistics["iq"].min())) - 0.02, 1.02)
    return coloured


def _null(left: Axes, right: Axes, null: Array) -> None:
    """Draw the range of the null behind the networks, and its histogram beside them."""
    right.set_xlabel("null networks")
    if not len(null):
        right.set_visible(False)
        return
    limit = float(np.quantile(null, 0.95))
    left.axhspan(float(null.min()), limit, color=GREY, alpha=0.25, lw=0, label="null, up to its 95%")
    right.hist(null, bins=np.linspace(0, 1, 41).tolist(), orientation="horizontal", color=GREY)
    right.axhline(limit, color="black", lw=0.8, ls="--")


def clusters(similarity: Tensor, labels: Tensor) -> Figure:
    """Draw |r| between all estimates, ordered by cluster."""
    order = labels.argsort(stable=True)
    image = similarity[order][:, order].numpy()
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(image, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, label="|r| over neurons")
    sizes = labels.bincount().numpy()
    ends = sizes.cumsum()
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="white", lw=0.4)
        axes.axvline(end - 0.5, color="white", lw=0.4)
    if len(sizes) <= NUMBERED:
        middles = ends - sizes / 2 - 0.5
        axes.set_xticks(middles, [str(index) for index in range(len(sizes))])
        axes.set_yticks(middles, [str(index) for index in range(len(sizes))])
    else:
        axes.xaxis.set_major_locator(NullLocator())
        axes.yaxis.set_major_locator(NullLocator())
    axes.set_xlabel("estimates of all runs, by network")
    axes.set_ylabel("estimates of all runs, by network")
    axes.set_title("Similarity of estimates", fontsize=10)
    return figure


def model_order(orders: Sequence[Mapping[str, float]]) -> Figure:
    """Draw Iq and explained variance over the number of components."""
    columns = {name: np.array([row[name] for row in orders]) for name in orders[0]}
    counts = columns["n_components"]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    upper.fill_between(
        counts, columns["iq_lower_quartile"], columns["iq_upper_quartile"], color=ACCENT, alpha=0.2, lw=0
    )
    upper.plot(counts, columns["iq_median"], "o-", color=ACCENT, label="Iq, median and quartiles of networks")
    upper.plot(
        counts,
        columns["reproducibility_median"],
        "s--",
        color=SECOND,
        ms=4,
        label="|r| between runs, median",
    )
    upper.set_ylim(min(0.0, float(columns["iq_lower_quartile"].min())), 1.03)
    upper.set_ylabel("reliability")
    upper.legend(fontsize=8, frameon=False)
    lower.plot(counts, 100 * columns["explained_variance"], "o-", color=ACCENT)
    lower.set_ylabel("explained variance, %")
    lower.set_xlabel("number of components")
    lower.set_xscale("log")
    lower.set_xticks(counts)
    lower.xaxis.set_major_formatter(ScalarFormatter())
    lower.xaxis.set_minor_locator(NullLocator())
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Model order", fontsize=10)
    return figure
