"""Picture of the paper's control: networks at 0 beside a share of neurons, with members and without."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.experiments.decisive.config import ShareConfig
from fbn_exp.experiments.decisive.preservation.share import WITH, WITHOUT
from fbn_exp.experiments.paper.tables import short_name
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS

COLUMNS = {"untouched": "baseline", "networks": "value", WITHOUT: "share_value", WITH: "share_value"}


def share_figure(config: ShareConfig, table: pd.DataFrame, model: str) -> Figure:
    """Draw a table of ``share_table``: a panel per task, a dot for each classifier, a bar for their mean."""
    tasks = list(table.groupby("task", sort=False))
    figure = Figure(figsize=(3.6 * len(tasks) + 0.4, 3.2), layout="constrained")
    grid = figure.subplots(1, len(tasks), squeeze=False, sharey=True)
    for axes, (task, rows) in zip(grid.flat, tasks, strict=True):
        _panel(axes, rows)
        axes.set_title(f"{model}, {short_name(task)}", fontsize=9)
    grid[0, 0].set_ylabel(config.endpoint.replace("_", " "))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles[:1], labels[:1], loc="outside lower right", fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    most = rows["models"].max()
    for place, (name, column) in enumerate(COLUMNS.items()):
        chosen = rows[rows["drawn"] == name] if name in (WITH, WITHOUT) else rows.drop_duplicates("model")
        mean, single = chosen[chosen["models"] == most], chosen[chosen["models"] == 1]
        colour = CONTROL_COLOURS["share"] if column == "share_value" else ACCENT
        axes.bar(place, mean[column].mean(), 0.6, color=colour, alpha=0.45)
        spread = np.linspace(-0.15, 0.15, len(single)) if len(single) > 1 else np.zeros(len(single))
        axes.plot(place + spread, single[column], "o", ms=4, color=colour)
        if column == "share_value":
            axes.plot(place, mean["share_worst"].mean(), "_", ms=16, mew=2, color="black", label="worst draw")
    axes.axhline(rows["chance"].iloc[0], color=CHANCE, lw=0.9, ls=":")
    axes.set_xticks(
        range(len(COLUMNS)), ["untouched", "networks\nat 0", "share\noutside", "share\nof all"], fontsize=8
    )
    axes.set_ylim(0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
