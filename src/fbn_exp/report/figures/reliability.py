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

from fbn_exp.core.files import Drawings
from fbn_exp.reliability.base import ReliabilityReport, SurrogateNull
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
        figures["reliability_clusters"] = partial(clusters, report)
    if report.orders:
        figures["model_order"] = partial(model_order, report.orders)
    return figures


def reliability(report: ReliabilityReport) -> Figure:
    """Draw the reproducibility of networks, coloured by p, beside its nulls; below, agreement of halves."""
    statistics = {name: values.numpy() for name, values in report.statistics.items()}
    count, halves = len(statistics["iq"]), "split_half" in statistics
    figure = Figure(figsize=(min(15, 7 + 0.2 * count), 7.6 if halves else 4.4), layout="constrained")
    grid = figure.subplots(
        1 + halves,
        1 + len(report.nulls),
        squeeze=False,
        sharey="row",
        width_ratios=[5, *(1.2,) * len(report.nulls)],
    )
    upper = grid[0, 0]
    coloured = _networks(upper, statistics, report)
    if coloured is not None:
        figure.colorbar(coloured, ax=grid[0, -1], label=f"p ({report.nulls[0].name})", pad=0.05)
    for axes, null in zip(grid[0, 1:], report.nulls, strict=True):
        _null(axes, null)
    if halves:
        _halves(grid[1, 0], statistics)
        for axes in grid[1, 1:]:
            axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_xlabel("network")
        axes.xaxis.set_major_locator(MaxNLocator(min(count, NUMBERED), integer=True, min_n_ticks=1))
        axes.grid(axis="y", alpha=0.3)
        axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    runs = int(report.metrics["runs"])
    figure.suptitle(f"Reliability of networks over {runs} runs, clusters of {report.clustered}", fontsize=10)
    return figure


def _networks(
    axes: Axes, statistics: Mapping[str, Array], report: ReliabilityReport
) -> PathCollection | None:
    """Draw the marks of every network; return those coloured by p, if there are p values."""
    place, between = np.arange(len(statistics["iq"])), f"|r| of {report.clustered} between runs"
    coloured = None
    if report.nulls:
        coloured = axes.scatter(
            place,
            statistics["reproducibility"],
            c=statistics[f"p_{report.nulls[0].name}"],
            cmap="viridis",
            norm=BoundaryNorm(P_STEPS, 256),
            s=46,
            zorder=3,
            label=between,
        )
    else:
        axes.scatter(place, statistics["reproducibility"], color=ACCENT, s=46, label=between)
    axes.scatter(place, statistics["iq"], marker="_", color=SECOND, s=90, zorder=2, label="Iq")
    for null, style in zip(report.nulls, ("--", ":"), strict=False):
        limit = float(null.largest.quantile(0.95))
        axes.axhline(limit, color="black", lw=0.8, ls=style, label=f"95% of largest, {null.name}")
    axes.set_ylim(min(0.0, float(statistics["iq"].min())) - 0.02, 1.02)
    axes.set_ylabel("agreement between runs")
    return coloured


def _null(axes: Axes, null: SurrogateNull) -> None:
    """Draw the reproducibility of all networks of the surrogates, and of the largest of each."""
    steps = np.linspace(0, 1, 41).tolist()
    everything = null.reproducibility.flatten().numpy()
    for values, colour, label in ((everything, GREY, "all"), (null.largest.numpy(), ACCENT, "largest")):
        weights = np.full(len(values), 100 / len(values))
        axes.hist(
            values,
            bins=steps,
            weights=weights,
            orientation="horizontal",
            color=colour,
            alpha=0.7,
            label=label,
        )
    axes.set_xlabel("% of null networks")
    axes.set_title(f"{null.name}, {len(null.reproducibility)} surrogates", fontsize=8)
    axes.legend(fontsize=7, frameon=False)


def _halves(axes: Axes, statistics: Mapping[str, Array]) -> None:
    """Draw |r| of maps between halves of the texts beside its null of random rotations."""
    place = np.arange(len(statistics["split_half"]))
    expected, upper = statistics["split_half_null"], statistics["split_half_null_95"]
    axes.vlines(place, expected, upper, color=GREY, lw=7, alpha=0.5, label="rotations, mean to 95%")
    beyond = statistics["p_split_half"] <= 0.05
    for chosen, colour, label in ((beyond, ACCENT, "p ≤ .05"), (~beyond, "black", "p > .05")):
        axes.scatter(
            place[chosen],
            statistics["split_half"][chosen],
            marker="x",
            color=colour,
            s=30,
            label=label,
            zorder=3,
        )
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("|r| of maps between halves")


def clusters(report: ReliabilityReport) -> Figure:
    """Draw |r| between all estimates, ordered by cluster."""
    similarity, labels = report.similarity, report.labels
    over = "tokens" if report.clustered == "sources" else "neurons"
    order = labels.argsort(stable=True)
    image = similarity[order][:, order].numpy()
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(image, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, label=f"|r| of {report.clustered} over {over}")
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
    axes.set_title(f"Similarity of estimates: clusters of {report.clustered}", fontsize=10)
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
