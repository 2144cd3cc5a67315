"""Picture of preservation: the score over the number of networks, beside what no and other neurons keep."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.preservation.pooled import of_most
from fbn_exp.experiments.decisive.preservation.table import REFERENCES
from fbn_exp.experiments.paper.tables import short_name
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, SECOND

MOST_COLUMNS = 4


def preservation_figure(config: PreservationConfig, table: pd.DataFrame, model: str) -> Figure:
    """Draw a table of ``preservation_table``: a panel per task and fill, the mean over single classifiers."""
    panels = list(table.groupby(["task", "fill"], sort=False))
    columns = min(MOST_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns + 1.2, 3.0 * lines + 1.1), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, ((task, fill), rows) in zip(grid.flat, panels, strict=False):
        most = rows["models"].max()
        _panel(axes, rows[rows["models"] == most], rows[rows["models"] == 1] if most > 1 else rows[:0])
        name = str(of_most(rows)["model"])
        # the model of one classifier may be all that jobs name
        whose = f"{model}, {name}" if most > 1 else name or model
        axes.set_title(f"{whose}\n{short_name(task)}, others at {str(fill).replace('_', ' ')}", fontsize=8)
        axes.set_xlabel("networks (neurons kept)")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(config.endpoint.replace("_", " "))
    entries = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(),
        entries,
        loc="outside lower center",
        ncols=min(5, 2 * columns),
        fontsize=8,
        frameon=False,
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, single: pd.DataFrame) -> None:
    places = {name: place for place, name in enumerate(dict.fromkeys(rows["components"]))}
    at = rows["components"].map(places)
    for kind, words in {
        "random": "as many at random (mean)",
        **{k: f"of {w}" for k, w in REFERENCES.items()},
    }.items():
        values = rows[f"control_{kind}"]
        if values.notna().any():
            axes.plot(at, values, "_", ms=14, mew=2.5, color=CONTROL_COLOURS[kind], label=words)
    for _, of_model in single.groupby("model"):
        of_places, values = of_model["components"].map(places), of_model["value"]
        axes.plot(of_places, values, color=ACCENT, lw=0.6, alpha=0.5, label="each classifier")
    if rows["probe_value"].notna().any():
        axes.plot(at, rows["probe_value"], "s--", ms=4, lw=1, color=SECOND, label="refitted probe")
        axes.plot(
            at, rows["probe_anchor"], color=SECOND, lw=1, ls=":", label="refitted probe, no neuron kept"
        )
    axes.plot(at, rows["value"], "o-", ms=5, color=ACCENT, label="networks kept")
    axes.plot(at, rows["anchor"], color="black", lw=1, ls=":", label="no neuron kept")
    axes.axhline(rows["baseline"].iloc[0], color="black", lw=0.9, ls="--", label="untouched")
    axes.axhline(rows["chance"].iloc[0], color=CHANCE, lw=0.9, ls=":", label="chance")
    labels = [f"{each.components}\n({each.neurons:,.0f})" for each in rows.itertuples()]
    axes.set_xticks(np.arange(len(rows)), labels, fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
