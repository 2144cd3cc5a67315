"""Figure of the connectivity of networks."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fbn_exp.analysis.connectivity import Connectivity, Interval
from fbn_exp.report.presentation import SIGNIFICANT
from fbn_exp.report.style import is_dark

NUMBERED_NETWORKS = 16
TICKS = 64
# the scale ends at the largest correlation, but not below this
LEAST_SCALE = 0.1


def connectivity_figure(connectivity: Connectivity) -> Figure:
    """Draw correlation and partial correlation side by side, networks in the order of the clustering.

    A printed value is grey unless it differs from 0 with the family-wise error over all pairs controlled.
    """
    n_networks = len(connectivity.order)
    side = min(9.0, max(3.6, 1.6 + 0.38 * n_networks))
    figure = Figure(figsize=(2 * side + 1.2, side + 0.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    top = max(_largest(connectivity.correlation), _largest(connectivity.partial), LEAST_SCALE)
    order = connectivity.order
    image = _matrix(left, connectivity.correlation, order, "Correlation", top)
    _matrix(right, connectivity.partial, order, "Partial correlation given the other networks", top)
    figure.colorbar(image, ax=[left, right], label="r, mean over texts", pad=0.01)
    if _numbered(n_networks):
        figure.supxlabel(
            f"bold: p < {SIGNIFICANT}, corrected for all pairs; small and grey: not shown to differ from 0",
            fontsize=9,
        )
    figure.suptitle(
        f"Connectivity of {n_networks} networks within {connectivity.n_texts} texts, ordered by clustering "
        f"(shrinkage of partial correlations {connectivity.shrinkage:.2f})",
        fontsize=10,
    )
    return figure


def _numbered(n_networks: int) -> bool:
    """Tell whether the cells are large enough for numbers."""
    return n_networks <= NUMBERED_NETWORKS


def _largest(interval: Interval) -> float:
    """Largest magnitude outside the diagonal."""
    outside = interval.mean[~np.eye(len(interval.mean), dtype=bool)]
    return float(np.nanmax(np.abs(outside), initial=0.0))


def _matrix(axes: Axes, interval: Interval, order: tuple[int, ...], title: str, top: float) -> AxesImage:
    shuffled = np.ix_(order, order)
    values = interval.mean[shuffled].copy()
    np.fill_diagonal(values, np.nan)  # always 1
    image = axes.imshow(values, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("network")
    axes.set_ylabel("network")
    every = -(-len(order) // TICKS)
    places = range(0, len(order), every)
    size = 9 if _numbered(len(order)) else 6
    labels = [str(order[place]) for place in places]
    axes.set_xticks(places, labels, fontsize=size, rotation=0 if len(order) <= 2 * NUMBERED_NETWORKS else 90)
    axes.set_yticks(places, labels, fontsize=size)
    if _numbered(len(order)):
        significant = (interval.p_value < SIGNIFICANT)[shuffled]
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                shown = bool(significant[row, column])
                dark = is_dark(image, value)
                colour = ("white" if dark else "black") if shown else ("0.8" if dark else "0.4")
                axes.text(
                    column,
                    row,
                    f"{value:+.2f}",
                    ha="center",
                    va="center",
                    fontsize=7.5 if shown else 6.5,
                    weight="bold" if shown else "normal",
                    color=colour,
                )
    return image
