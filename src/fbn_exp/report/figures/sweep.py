"""Figures of a sweep of evaluations: dose-response curves, harm of lesions, consistency over corpora."""

from collections.abc import Hashable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fbn_exp.core.files import Drawings
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.analyses.consistency import COUNT_RATE, COUNT_RATE_CHANCE
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, number_cells
from fbn_exp.report.sweep.dose import other_settings


def score_figures(scores: pd.DataFrame) -> Drawings:
    """Return the figures that a table of scores, with a row per job, task and metric, allows.

    ``dose_<task>_<metric>`` if several factors were scored, ``lesion_map`` if several networks were lesioned
    one by one.
    """
    if scores.empty:
        return {}
    figures = {
        f"dose_{task}_{metric}": partial(dose_response, rows, f"{task}: {metric}")
        for (task, metric), rows in scores.groupby(["task", "metric"], sort=False)
        if rows["factor"].nunique() > 1
    }
    lesions = single_lesions(scores)
    if lesions["networks"].nunique() > 1:
        figures["lesion_map"] = partial(lesion_map, lesions)
    return figures


def dose_response(rows: pd.DataFrame, title: str) -> Figure:
    """Draw the score over the dose, one panel per choice of networks, with the range of each control.

    The dose is the energy of the edit, where it is known and the factors lie on one side of 1, else the
    factor. Every control is drawn at its own energy. Each combination of other swept settings is a line.
    """
    panels = [(str(name), each) for name, each in rows.groupby("networks", sort=False)]
    # single networks by number, before sets of them
    panels.sort(key=lambda panel: (0, int(panel[0])) if panel[0].isdigit() else (1, 0))
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns + 1.2, 2.9 * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    by_energy, settings = _has_energies(rows), other_settings(rows)
    for axes, (name, panel) in zip(grid.flat, panels, strict=False):
        _dose_panel(axes, panel, settings, by_energy)
        axes.set_title(f"networks {name}" if name == "all" else f"network {name}", fontsize=9)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(title)
    of_energy = "energy of the edit: squared change of the activations per token"
    figure.supxlabel(of_energy if by_energy else "factor on the networks' neurons", fontsize=9)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=2 * min(columns, 3), fontsize=8, frameon=False
    )
    return figure


def _has_energies(rows: pd.DataFrame) -> bool:
    """Whether every edit has an energy, and each energy one factor."""
    one_sided = (rows["factor"] <= 1).all() or (rows["factor"] >= 1).all()
    return "energy" in rows and bool(rows["energy"].notna().all() and one_sided)


def _dose_panel(axes: Axes, panel: pd.DataFrame, settings: list[str], by_energy: bool) -> None:
    lines: list[tuple[str, pd.DataFrame]] = [("networks", panel)]
    if settings:
        groups = panel.groupby(settings, sort=False, dropna=False)
        lines = [(", ".join(map(str, names)), each) for names, each in groups]
    dose = "energy" if by_energy else "factor"
    for place, (label, line) in enumerate(lines):
        ordered = line.sort_values(dose)
        if len(lines) == 1:
            _control_bands(axes, ordered, by_energy)
        value = ordered["value"].to_numpy(dtype=float)
        baseline = ordered["baseline"].to_numpy(dtype=float)
        low, high = (ordered[name].to_numpy(dtype=float) + baseline for name in ("ci_low", "ci_high"))
        errors = np.abs(np.stack([value - low, high - value]))
        colour = ACCENT if place == 0 else f"C{place}"
        x = ordered[dose].to_numpy(dtype=float)
        axes.errorbar(x, value, yerr=errors, marker="o", ms=3.5, color=colour, capsize=2, label=label)
    axes.axhline(panel["baseline"].iloc[0], color="black", lw=0.8, ls="--", label="untouched")
    chance = panel["chance"].iloc[0]
    if not pd.isna(chance):
        axes.axhline(chance, color=CHANCE, lw=0.8, ls=":", label="chance")
    if by_energy:
        _scale(axes, panel)
    axes.spines[["top", "right"]].set_visible(False)


def _scale(axes: Axes, panel: pd.DataFrame) -> None:
    """Scale the axis of energies: logarithmic where they differ tenfold, else from 0."""
    names = ["energy", *(f"control_{kind}_energy" for kind in CONTROL_COLOURS)]
    energies = panel[[name for name in names if name in panel]].to_numpy(dtype=float)
    known = energies[energies > 0]
    if len(known) and known.max() > 10 * known.min():
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)


def _control_bands(axes: Axes, line: pd.DataFrame, by_energy: bool) -> None:
    """Draw the range of the draws of each kind of controls, at their own mean energy."""
    for kind, colour in CONTROL_COLOURS.items():
        names = f"control_{kind}_low", f"control_{kind}_high"
        dose = f"control_{kind}_energy" if by_energy else "factor"
        if not {*names, dose} <= {*line.columns} or not line[names[0]].notna().any():
            continue
        ordered = line.sort_values(dose)
        low, high = (ordered[name].to_numpy(dtype=float) for name in names)
        place = ordered[dose].to_numpy(dtype=float)
        axes.fill_between(place, low, high, color=colour, alpha=0.3, label=_kind_label(kind))
        # the band of a single draw has no width
        axes.plot(place, (low + high) / 2, color=colour, lw=0.8, marker="o", ms=2)


def _kind_label(kind: str) -> str:
    return f"{kind.replace('_', ' ')} {'reference' if ControlKind(kind).is_reference else 'controls'}"


def single_lesions(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the rows in which a single network was set to 0."""
    alone = scores["networks"].astype(str).str.fullmatch(r"\d+")
    lesioned = (scores["intervention"] == "inhibit") | (scores["factor"] == 0)
    return scores[alone & lesioned]


def lesion_map(lesions: pd.DataFrame) -> Figure:
    """Draw the harm of each network's lesion to each task; double dissociation appears as a diagonal.

    Harm is the difference to the untouched model, signed so that positive is worse; the colours of a column
    run from no harm to the largest harm in it.
    """
    sign = np.where(lesions["higher_is_better"], -1.0, 1.0)
    table = lesions.assign(
        harm=lesions["delta"] * sign, measure=lesions["task"] + "\n" + lesions["metric"]
    ).pivot_table(index="networks", columns="measure", values="harm", sort=False)
    table = table.loc[sorted(table.index, key=int)]
    values = table.to_numpy(dtype=float)
    shade = values / np.maximum(np.nanmax(np.abs(values), axis=0, keepdims=True), 1e-12)
    figure = Figure(
        figsize=(1.6 + 1.15 * values.shape[1], 1.6 + 0.36 * values.shape[0]), layout="constrained"
    )
    axes = figure.subplots()
    axes.imshow(shade, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(values.shape[1]), table.columns, fontsize=7, rotation=30, ha="right")
    axes.set_yticks(range(values.shape[0]), table.index)
    axes.set_ylabel("network set to 0")
    axes.set_title("Harm of each lesion (positive is worse)", fontsize=10)
    number_cells(axes, values, np.abs(shade) > 0.6, "{:+z.2f}")
    return figure


def consistency_figures(jobs: pd.DataFrame, settings: pd.DataFrame, corpora: pd.DataFrame) -> Drawings:
    """Return the figure of consistency over corpora, if several finished jobs differ in a corpus.

    Parameters
    ----------
    jobs : DataFrame
        Flat metrics, with a row per job.
    settings : DataFrame
        Values of the other swept settings, in the same rows.
    corpora : DataFrame
        ``templates`` and ``texts``, the corpora of the networks and of single texts, in the same rows.
    """
    if COUNT_RATE not in jobs:
        return {}
    finished = jobs[COUNT_RATE].notna()
    if finished.sum() < 2 or (corpora[finished].nunique() < 2).all():
        return {}
    return {"consistency": partial(corpus_pairs, jobs[finished], settings[finished], corpora[finished])}


def corpus_pairs(jobs: pd.DataFrame, settings: pd.DataFrame, corpora: pd.DataFrame) -> Figure:
    """Draw the share of matching pairs of template and individual network by their corpora, beside chance.

    Each combination of the other swept settings has a panel; see ``consistency_figures``.
    """
    frame = corpora.assign(rate=100 * jobs[COUNT_RATE], chance=100 * jobs[COUNT_RATE_CHANCE])
    swept = [name for name in settings if settings[name].nunique(dropna=False) > 1]
    panels: list[tuple[tuple[Hashable, ...], pd.DataFrame]] = [((), frame)]
    if swept:
        panels = list(frame.groupby([settings[name] for name in swept], sort=False, dropna=False))
    top = float(frame["rate"].max())
    side = max(3.6, 1.5 + 0.95 * int(corpora.nunique().max()))
    figure = Figure(figsize=((side + 0.6) * len(panels), side), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)
    for each, (values, rows) in zip(axes[0], panels, strict=True):
        image = _pairs_panel(each, rows, max(top, 1e-9))
        each.set_title(
            ", ".join(f"{name}={value}" for name, value in zip(swept, values, strict=True)), fontsize=8
        )
    figure.colorbar(image, ax=list(axes[0]), label="matching pairs, %")
    figure.suptitle(
        "Consistency: matches of group and individual networks\n(in brackets: by chance)", fontsize=10
    )
    return figure


def _pairs_panel(axes: Axes, rows: pd.DataFrame, top: float) -> AxesImage:
    """Draw a heat map; jobs with the same pair of corpora are averaged."""
    shares, chance = (
        rows.pivot_table(index="templates", columns="texts", values=name, sort=False)
        for name in ("rate", "chance")
    )
    values, expected = shares.to_numpy(dtype=float), chance.to_numpy(dtype=float)
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=top, aspect="auto")
    axes.set_xticks(range(values.shape[1]), shares.columns)
    axes.set_yticks(range(values.shape[0]), shares.index)
    axes.set_xlabel("individual networks of")
    axes.set_ylabel("templates of")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value < top / 2 else "black"
            text = f"{value:.1f}\n({expected[row, column]:.2g})"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    return image
