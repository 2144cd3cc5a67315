"""Figures of networks: their location in the model, sizes and overlap."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from fbn_exp.core.files import Drawings
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares, intersection_over_union
from fbn_exp.report.presentation import ROWS
from fbn_exp.report.style import ACCENT, number_cells
from fbn_exp.thresholds.base import Threshold

WIDEST = 1_024
OVERVIEW_NETWORKS = 12
NUMBERED_NETWORKS = 16
CLIP = 5.0
# cells of a row in the overview
OVERVIEW_CELLS = 96


def network_figures(networks: FunctionalNetworks, threshold: Threshold, max_networks: int) -> Drawings:
    """Return every figure of a set of networks.

    Parameters
    ----------
    networks : FunctionalNetworks
        Networks to draw.
    threshold : Threshold
        Rule that selects the member neurons.
    max_networks : int
        Largest number of networks that are drawn on separate maps, those of largest explained variance first.
    """
    masks, scores = networks.masks(threshold), networks.z_scores()
    layout, rule = networks.layout, threshold.describe()
    explained = networks.statistics.get("explained_variance_ratio", [float("nan")] * len(networks))
    titles = [networks.title(index) for index in range(len(networks))]
    figures = {
        "overview": partial(overview, scores, masks, layout, rule, titles),
        "overlap": partial(overlap, masks, rule),
        "block_shares": partial(share_matrix, masks, layout, rule),
    }
    if len(networks) > ROWS:
        # fewer stand in the table on the console
        figures["sizes"] = partial(sizes, masks, rule)
    for index in range(min(len(networks), max_networks)):
        figures[f"network_{index:03d}"] = partial(
            network_map, scores[index], masks[index], layout, titles[index], explained[index], rule
        )
    return figures


def blocks_by_neurons(values: Tensor, layout: NeuronLayout, most: int = WIDEST) -> Array:
    """Arrange values in a matrix with a row per block; narrower blocks are padded with NaN.

    Blocks wider than ``most`` are pooled to the value of largest magnitude in each bin, so that a
    single outstanding neuron stays visible.
    """
    widest = max(block.width for block in layout.blocks)
    pool = -(-widest // most)
    image = np.full((len(layout.blocks), -(-widest // pool)), np.nan)
    for row, block in enumerate(layout.blocks):
        part = values[block.columns].double().numpy()
        bins = np.pad(part, (0, -len(part) % pool)).reshape(-1, pool)
        image[row, : len(bins)] = np.take_along_axis(bins, np.abs(bins).argmax(axis=1)[:, None], axis=1)[:, 0]
    return image


def network_map(
    scores: Tensor, mask: Tensor, layout: NeuronLayout, title: str, explained: float, rule: str
) -> Figure:
    """Draw the map of a network over blocks and neurons, its members marked, with its share per block.

    Circles mark members above the mean weight, squares those below it.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[4.2, 1], sharey=True)
    image = _draw_map(left, scores, layout)
    _mark_members(left, scores, mask, layout)
    figure.colorbar(image, ax=left, label="weight, z-score over neurons", pad=0.01, extend="both")
    below = "; squares: members below the mean" if (mask & (scores < 0)).any() else ""
    left.set_xlabel(f"neuron within the block{below}")
    left.set_ylabel("block")
    size, n_neurons = int(mask.sum()), layout.n_neurons
    left.set_title(
        f"{title}: {size:,} neurons ({size / n_neurons:.2%}), {explained:.1%} of the variance   [{rule}]",
        fontsize=10,
    )
    shares = block_shares(mask[None], layout)[0].numpy()
    right.barh(np.arange(len(shares)), 100 * shares, color=ACCENT)
    right.set_xlabel("share of its neurons, %")
    right.tick_params(labelleft=True)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_map(axes: Axes, scores: Tensor, layout: NeuronLayout, most: int = WIDEST) -> AxesImage:
    """Draw weights, a row per block."""
    widest = max(block.width for block in layout.blocks)
    image = axes.imshow(
        blocks_by_neurons(scores, layout, most),
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        norm=TwoSlopeNorm(0, -CLIP, CLIP),
        extent=(-0.5, widest - 0.5, len(layout.blocks) - 0.5, -0.5),
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    return image


def _mark_members(axes: Axes, scores: Tensor, mask: Tensor, layout: NeuronLayout) -> None:
    """Mark members above the mean weight by circles, those below it by squares."""
    for marker, side in (("o", scores >= 0), ("s", scores < 0)):
        places = [layout.locate(int(neuron)) for neuron in (mask & side).nonzero()[:, 0]]
        if places:
            rows, columns = zip(*places, strict=True)
            axes.scatter(
                columns, rows, s=9, marker=marker, facecolors="none", edgecolors="black", linewidths=0.6
            )


def overview(scores: Tensor, masks: Tensor, layout: NeuronLayout, rule: str, titles: Sequence[str]) -> Figure:
    """Draw small maps of the first networks side by side, with bars of the members in each block.

    Neighbouring neurons share a cell, which has the weight of largest magnitude among them.
    """
    shown = min(len(scores), OVERVIEW_NETWORKS)
    columns = min(shown, 5)
    rows = -(-shown // columns)
    figure = Figure(figsize=(2.05 * columns + 0.9, 2.1 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    shares = block_shares(masks, layout).numpy()
    for index, axes in enumerate(grid.flat):
        if index >= shown:
            axes.set_visible(False)
            continue
        image = _draw_map(axes, scores[index], layout, OVERVIEW_CELLS)
        # beside the map, so that it hides no weight
        bars = axes.inset_axes((1.02, 0.0, 0.16, 1.0), sharey=axes)
        bars.barh(np.arange(len(shares[index])), shares[index], height=0.9, color=ACCENT)
        bars.axis("off")
        axes.set_title(f"{titles[index]}: {int(masks[index].sum()):,} neurons", fontsize=9)
        axes.tick_params(labelsize=8)
    bar = figure.colorbar(
        image, ax=list(grid.flat), label="weight, z-score", extend="both", pad=0.01, aspect=30
    )
    bar.ax.tick_params(labelsize=8)
    figure.supxlabel("neuron within the block", fontsize=9)
    figure.supylabel("block", fontsize=9)
    more = f", the first {shown} of {len(scores)}" if shown < len(scores) else ""
    figure.suptitle(
        f"Functional networks{more}: weights (colour), and the share of members in each block (bars; {rule})",
        fontsize=10,
    )
    return figure


def sizes(masks: Tensor, rule: str) -> Figure:
    """Draw the number of neurons of every network."""
    counts = masks.sum(dim=1).numpy()
    figure = Figure(figsize=(min(9, 4 + 0.12 * len(counts)), 3.2), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(np.arange(len(counts)), counts, color=ACCENT)
    if len(counts) <= NUMBERED_NETWORKS:
        axes.bar_label(bars, fontsize=8)
        axes.set_xticks(np.arange(len(counts)))
    axes.set_xlabel("network")
    axes.set_ylabel("neurons")
    axes.set_xlim(-0.8, len(counts) - 0.2)
    union = int(masks.any(dim=0).sum())
    axes.set_title(
        f"Sizes [{rule}]; together {union:,} of {masks.shape[1]:,} neurons ({union / masks.shape[1]:.2%})",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def overlap(masks: Tensor, rule: str) -> Figure:
    """Draw the intersection over union of every pair of networks; the diagonal, always 1, is left blank."""
    values = intersection_over_union(masks, masks).numpy()
    np.fill_diagonal(values, np.nan)
    top = max(0.05, float(np.nanmax(values, initial=0.0)))
    title = f"Overlap: intersection over union [{rule}]"
    return _matrix(values, "network", "network", title, "IoU", Normalize(0, top))


def share_matrix(masks: Tensor, layout: NeuronLayout, rule: str) -> Figure:
    """Draw the share of each network's neurons in each block."""
    values = 100 * block_shares(masks, layout).numpy()
    title = f"Where the networks' neurons are [{rule}]"
    # a few blocks hold many members: a scale of square roots also tells the others apart
    norm = PowerNorm(0.5, vmin=0, vmax=max(float(values.max()), 1e-9))
    label = "share of the network's neurons, % (square roots)"
    return _matrix(values, "block", "network", title, label, norm, "{:.0f}")


def _matrix(
    values: Array, x: str, y: str, title: str, label: str, norm: Normalize, form: str = "{:.2f}"
) -> Figure:
    rows, columns = values.shape
    # numbers in cells need room; in a wider picture letters would be too small on a page
    numbered = max(rows, columns) <= NUMBERED_NETWORKS
    width = min(10, max(5.5, 3 + (0.35 if numbered else 0.22) * columns))
    height = min(10, max(3.6, 1.8 + 0.3 * rows))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", cmap="viridis", norm=norm, interpolation="nearest")
    figure.colorbar(image, ax=axes, label=label)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=10)
    for axis, count in ((axes.xaxis, columns), (axes.yaxis, rows)):
        axis.set_major_locator(MaxNLocator("auto", integer=True))
        if count <= NUMBERED_NETWORKS:
            axis.set_ticks(np.arange(count))
    if numbered:
        number_cells(axes, values, np.asarray(norm(values)) < 0.5, form)
    return figure
