"""One figure per table: results beside their controls, the published numbers in a separate panel."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.published import CONSISTENCY, LESION, LESION_SINGLE, PRESERVATION
from fbn_exp.experiments.paper.rules import task_in_words
from fbn_exp.experiments.paper.tables import CHANCES
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS

CONTROL_LABELS = {
    ControlKind.random: "random, as many",
    ControlKind.per_block: "in the same blocks",
    ControlKind.activation: "nearest in activity",
    ControlKind.energy: "as much energy",
    ControlKind.noise: "noise of the same norm",
    ControlKind.rotation: "rotated maps",
    ControlKind.share: "a share of all, at random",
    ControlKind.top_energy: "of most energy",
    ControlKind.attribution: "of largest attribution",
}
# accuracy of GPT-2 on AGNews without an intervention
PAPER_UNTOUCHED = 0.8614
# more would be small letters in a page
COLUMNS = 3
# inches; the legend needs this width
NARROWEST = 7.0


def draw(kind: PaperTable, table: pd.DataFrame) -> Figure:
    """Draw a table of ``results_table``, which must not be empty."""
    if kind is PaperTable.consistency:
        return _consistency(table)
    panels = _panels(kind, table)
    paper = {
        PaperTable.lesion: _paper_lesion,
        PaperTable.lesion_single: _paper_single,
        PaperTable.preservation: _paper_preservation,
    }.get(kind)
    tallest = max(len(rows) for _, rows in panels)
    n_panels = len(panels) + (paper is not None)
    lines = -(-n_panels // COLUMNS)
    # rows of equal length leave the fewest places empty
    columns = -(-n_panels // lines)
    height = 1.0 + 0.42 * max(tallest, 8 if paper else 4)
    figure = Figure(figsize=(max(NARROWEST, 4.6 * columns + 0.6), height * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, (name, rows) in zip(grid.flat, panels, strict=False):
        _results(axes, rows.reset_index(drop=True), name, kind)
    if paper is not None:
        paper(grid.flat[len(panels)])
    for axes in list(grid.flat)[n_panels:]:
        axes.set_visible(False)
    handles: dict[str, Artist] = {}
    for axes in grid.flat:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper center",
        ncols=2 * min(columns, 3),
        fontsize=8,
        frameon=False,
    )
    return figure


def _panels(kind: PaperTable, table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Group results by panel: one per metric, or one per task and metric for lesions of single networks."""
    if kind is PaperTable.lesion_single and table["task"].nunique() > 1:
        return [
            (f"{task_in_words(task)}: {str(metric).replace('_', ' ')}", rows)
            for (task, metric), rows in table.groupby(["task", "metric"], sort=False)
        ]
    return [(str(metric).replace("_", " "), rows) for metric, rows in table.groupby("metric", sort=False)]


def _results(axes: Axes, rows: pd.DataFrame, name: str, kind: PaperTable) -> None:
    """Draw each result with its interval, and the range of each kind of control below it."""
    places = np.arange(len(rows))
    drawn = [each for each in ControlKind if rows[f"control_{each.value}_low"].notna().any()]
    # below the networks, whose interval they would hide, and nearer to their own row than to the next
    offsets = 0.18 + np.arange(len(drawn)) * min(0.18, 0.48 / max(len(drawn) - 1, 1))
    for control, offset in zip(drawn, offsets, strict=True):
        mean, low, high = (
            rows[f"control_{control.value}{side}"].to_numpy(dtype=float) for side in ("", "_low", "_high")
        )
        axes.hlines(
            places + offset,
            low,
            high,
            color=CONTROL_COLOURS[control.value],
            lw=4,
            alpha=0.6,
            label=f"{CONTROL_LABELS[control]}: range, mean",
        )
        axes.plot(mean, places + offset, "|", ms=6, color=CONTROL_COLOURS[control.value])
    value = rows["value"].to_numpy(dtype=float)
    errors = np.abs(np.stack([value - rows["low"], rows["high"] - value]).astype(float))
    axes.errorbar(
        value,
        places,
        xerr=errors,
        fmt="o",
        ms=5,
        capsize=2,
        color=ACCENT,
        label="networks, 95% interval of the difference",
    )
    axes.plot(rows["untouched"], places, "k|", ms=14, mew=1.5, label="untouched")
    if rows["chance"].notna().any():
        axes.plot(rows["chance"], places, "|", ms=12, color=CHANCE, label="chance or majority")
    axes.set_yticks(places, [_label(row, kind) for row in rows.to_dict("records")], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(name)


def _label(row: Mapping[Hashable, Any], kind: PaperTable) -> str:
    task = task_in_words(row["task"])
    which = "" if row["networks"] == "all" else f", network {row['networks']}"
    if kind is PaperTable.preservation and "components" in row:
        return f"{task}, {row['components']} networks\n{row['neurons']:,} neurons kept"
    if kind is PaperTable.amplification:
        return f"{task}{which} × {row['factor']:g}"
    return f"{task}{which}" if kind is PaperTable.lesion else f"{task}{which}\n{row['neurons']:,} neurons"


def _paper_lesion(axes: Axes) -> None:
    places = np.arange(len(LESION))
    axes.plot(LESION["random 15%"], places, "o", ms=5, color=CONTROL_COLOURS["share"])
    axes.plot(LESION["networks set to 0"], places, "o", ms=5, color=ACCENT)
    axes.plot(LESION["untouched"], places, "k|", ms=14, mew=1.5)
    axes.set_yticks(places, LESION["task"], fontsize=8)
    _paper_panel(axes, "accuracy (no interval given)")


def _paper_single(axes: Axes) -> None:
    axes.plot(LESION_SINGLE["accuracy"], LESION_SINGLE["network"], "o", ms=5, color=ACCENT)
    axes.axvline(PAPER_UNTOUCHED, color="black", lw=1.2)
    names = [f"network {row.network}\n{row.neurons} neurons" for row in LESION_SINGLE.itertuples()]
    axes.set_yticks(LESION_SINGLE["network"], names, fontsize=8)
    _paper_panel(axes, "accuracy on AGNews (no control given)")


def _paper_preservation(axes: Axes) -> None:
    places = np.arange(len(PRESERVATION))
    axes.plot(PRESERVATION["accuracy"], places, "o", ms=5, color=ACCENT)
    axes.axvline(PAPER_UNTOUCHED, color="black", lw=1.2)
    names = [
        f"{networks} networks\n{kept:,} of 9,216 kept"
        for networks, kept in zip(PRESERVATION["networks"], PRESERVATION["neurons kept"], strict=True)
    ]
    axes.set_yticks(places, names, fontsize=8)
    _paper_panel(axes, "accuracy on AGNews (no control given)")


def _paper_panel(axes: Axes, label: str) -> None:
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.set_title("the paper: GPT-2, fine-tuned", fontsize=9)
    axes.set_facecolor("#f7f5f0")
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _consistency(table: pd.DataFrame) -> Figure:
    """Draw the share of each template by corpus, beside the largest chance level per template."""
    figure = Figure(figsize=(max(NARROWEST, 1.6 + 1.9 * len(table)), 3.8), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(table.to_dict("records")):
        # runs differ in their number of texts
        percent = 100 / row["individual"]
        counts = [percent * int(each) for each in str(row["counts"]).split()]
        spread = np.linspace(-0.3, 0.3, len(counts)) if len(counts) > 1 else [0.0]
        axes.bar(
            place + np.asarray(spread),
            counts,
            0.5 / len(counts),
            color=ACCENT,
            label="" if place else "each template",
        )
        chance = percent * np.nanmax([row[f"chance_{null}"] for null in CHANCES]) / len(counts)
        label = "" if place else "by chance, mean of a template"
        axes.hlines(chance, place - 0.38, place + 0.38, color=CHANCE, lw=1.5, label=label)
    largest = CONSISTENCY["largest count of a template, of 1,000"][0]
    axes.axhline(
        100 * int(largest) / 1_000,
        color="tab:gray",
        ls=":",
        lw=1,
        label="the paper, GPT-2: largest of any template",
    )
    names = [f"{row['corpus']}\nof {row['individual']:,}" for row in table.to_dict("records")]
    axes.set_xticks(range(len(table)), names)
    axes.set_ylabel("individual networks with IoU > .2, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure
