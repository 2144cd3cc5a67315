"""Figure of the overlap of two sets of networks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.analysis.overlap import Overlaps
from fbn_exp.core.rows import Array
from fbn_exp.report.style import number_cells

NUMBERED_NETWORKS = 16


def overlap_figure(overlaps: Overlaps) -> Figure:
    """Draw both matrices, columns in the order of the rows' partners: agreement appears as a diagonal."""
    order = [int(each) for each in overlaps.partner if each >= 0]
    order += [each for each in range(overlaps.iou.shape[1]) if each not in set(order)]
    rows, columns = overlaps.iou.shape
    width = min(8.0, max(3.8, 2.2 + 0.34 * columns))
    height = min(9.0, max(3.4, 1.6 + 0.34 * rows))
    figure = Figure(figsize=(2 * width, height), layout="constrained")
    axes = figure.subplots(1, 2)
    panels = (
        (axes[0], overlaps.iou, f"IoU of masks [{overlaps.threshold}]", max(0.05, float(overlaps.iou.max()))),
        (axes[1], overlaps.correlation, "|r| of maps", 1.0),
    )
    for panel, values, title, top in panels:
        _panel(panel, values[:, order], order, title, top)
    figure.suptitle("Overlap of two sets of networks, the others ordered by the best matching", fontsize=10)
    return figure


def _panel(axes: Axes, values: Array, order: list[int], title: str, top: float) -> None:
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("network of the other set")
    axes.set_ylabel("network")
    if max(values.shape) > NUMBERED_NETWORKS:
        return
    axes.set_xticks(range(len(order)), [str(each) for each in order])
    axes.set_yticks(range(len(values)))
    number_cells(axes, values, values < top / 2)
