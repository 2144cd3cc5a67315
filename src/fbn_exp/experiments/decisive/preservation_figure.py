"""Picture of preservation: the score over the number of networks, beside what no and other neurons keep."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.preservation import REFERENCES
from fbn_exp.experiments.paper.tables import short_name
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS

MOST_COLUMNS = 4


def preservation_figure(config: PreservationConfig, table: pd.DataFrame, model: str) -> Figure:
    """Draw a table of ``preservation_table``: a panel per model, task and fill."""
    panels = list(table.groupby(["model", "task", "fill"], sort=False))
    columns = min(MOST_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns + 1.2, 3.0 * lines + 0.9), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, ((name, task, fill), rows) in zip(grid.flat, panels, strict=False):
        _panel(axes, rows)
        axes.set_title(
            f"{name or model}\n{short_name(task)}, others at {str(fill).replace('_', ' ')}", fontsize=8
        )
        axes.set_xlabel("networks (neurons kept)")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(config.endpoint.replace("_", " "))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    places = np.arange(len(rows))
    for kind, words in {
        "random": "as many at random (mean)",
        **{k: f"of {w}" for k, w in REFERENCES.items()},
    }.items():
        axes.plot(
            places, rows[f"control_{kind}"], "_", ms=14, mew=2.5, color=CONTROL_COLOURS[kind], label=words
        )
    axes.plot(places, rows["value"], "o-", ms=5, color=ACCENT, label="networks kept")
    axes.plot(places, rows["anchor"], color="black", lw=1, ls=":", label="no neuron kept")
    axes.axhline(rows["baseline"].iloc[0], color="black", lw=0.9, ls="--", label="untouched")
    axes.axhline(rows["chance"].iloc[0], color=CHANCE, lw=0.9, ls=":", label="chance")
    labels = [f"{each.components}\n({each.neurons:,})" for each in rows.itertuples()]
    axes.set_xticks(places, labels, fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
