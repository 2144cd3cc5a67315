"""Pictures of a sweep of evaluations: dose and response, and which network hurts which task."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

KINDS = {"random": "tab:gray", "per_block": "tab:olive", "activation": "tab:pink"}


def draw_all(scores: pd.DataFrame, folder: Path) -> dict[str, Path]:
    """Draw what the table of scores allows.

    Parameters
    ----------
    scores : DataFrame
        One row per job, task and metric.
    folder : Path
        Where the PNG files go.

    Returns
    -------
    dict of str to Path
        File of each picture by name: ``dose_<task>_<metric>`` where several factors were scored,
        ``lesion_map`` where several networks were lesioned one by one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    for (task, metric), rows in scores.groupby(["task", "metric"], sort=False):
        if rows["factor"].nunique() > 1:
            figures[f"dose_{task}_{metric}"] = dose_response(rows, f"{task}: {metric}")
    lesions = single_lesions(scores)
    if lesions["networks"].nunique() > 1:
        figures["lesion_map"] = lesion_map(lesions)
    files = {}
    for name, figure in figures.items():
        files[name] = folder / f"{name}.png"
        figure.savefig(files[name], dpi=110)
        plt.close(figure)
    return files


def dose_response(rows: pd.DataFrame, title: str) -> Figure:
    """Score over factor, one panel per choice of networks, with the range of each kind of control."""
    panels = [(str(name), each.sort_values("factor")) for name, each in rows.groupby("networks", sort=False)]
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(3.4 * columns + 1.2, 2.9 * lines + 0.6),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axes, (name, panel) in zip(grid.flat, panels, strict=False):
        _dose_panel(axes, panel)
        axes.set_title(f"networks {name}" if name == "all" else f"network {name}", fontsize=9)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(title)
    figure.supxlabel("factor on the networks' neurons", fontsize=9)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=2 * min(columns, 3), fontsize=8, frameon=False
    )
    return figure


def _dose_panel(axes: Axes, panel: pd.DataFrame) -> None:
    factor = panel["factor"].to_numpy(dtype=float)
    for kind, colour in KINDS.items():
        low, high = panel.get(f"control_{kind}_low"), panel.get(f"control_{kind}_high")
        if low is not None and high is not None and low.notna().any():
            bounds = low.to_numpy(dtype=float), high.to_numpy(dtype=float)
            axes.fill_between(factor, *bounds, color=colour, alpha=0.3, label=f"{kind} controls")
    value = panel["value"].to_numpy(dtype=float)
    baseline = panel["baseline"].to_numpy(dtype=float)
    low, high = (panel[name].to_numpy(dtype=float) + baseline for name in ("ci_low", "ci_high"))
    errors = np.abs(np.stack([value - low, high - value]))
    axes.errorbar(
        factor, value, yerr=errors, marker="o", ms=3.5, color="#1f4e79", capsize=2, label="networks"
    )
    axes.axhline(baseline[0], color="black", lw=0.8, ls="--", label="untouched")
    chance = panel["chance"].iloc[0]
    if not pd.isna(chance):
        axes.axhline(chance, color="tab:red", lw=0.8, ls=":", label="chance")
    axes.spines[["top", "right"]].set_visible(False)


def single_lesions(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows in which one network alone was set to 0."""
    alone = scores["networks"].astype(str).str.fullmatch(r"\d+")
    lesioned = (scores["intervention"] == "inhibit") | (scores["factor"] == 0)
    return scores[alone & lesioned]


def lesion_map(lesions: pd.DataFrame) -> Figure:
    """Harm of each network's lesion to each task, coloured per task: double dissociation is a diagonal.

    Harm is the difference to the untouched model, signed so that positive is worse; each column's colours
    run from none to the largest harm in it.
    """
    sign = np.where(lesions["higher_is_better"].astype(str) == "True", -1.0, 1.0)
    table = lesions.assign(
        harm=lesions["delta"] * sign, measure=lesions["task"] + "\n" + lesions["metric"]
    ).pivot_table(index="networks", columns="measure", values="harm", sort=False)
    table = table.loc[sorted(table.index, key=int)]
    values = table.to_numpy(dtype=float)
    shade = values / np.maximum(np.nanmax(np.abs(values), axis=0, keepdims=True), 1e-12)
    figure, axes = plt.subplots(
        figsize=(1.6 + 1.15 * values.shape[1], 1.6 + 0.36 * values.shape[0]), layout="constrained"
    )
    axes.imshow(shade, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(values.shape[1]), table.columns, fontsize=7, rotation=30, ha="right")
    axes.set_yticks(range(values.shape[0]), table.index)
    axes.set_ylabel("network set to 0")
    axes.set_title("Harm of each lesion (positive is worse)", fontsize=10)
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(shade[row, column]) > 0.6 else "black"
        axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=7, color=colour)
    return figure
