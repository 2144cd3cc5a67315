"""Figures of a sweep of evaluations: dose-response curves, and consistency over corpora."""

import re
from collections.abc import Callable, Hashable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fbn_exp.core.files import Drawings
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.analyses.consistency import COUNT_RATE, COUNT_RATE_CHANCE
from fbn_exp.report.figures.lesions import lesion_map, single_lesions
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, GREY
from fbn_exp.report.sweep.dose import other_settings

# small multiples that can be read side by side
MOST_COLUMNS, MOST_ROWS = 5, 8
# the same of a single task, and how many of them in a line
MOST_PANELS, WRAPPED = 12, 4


def score_figures(scores: pd.DataFrame) -> Drawings:
    """Return the figures that a table of scores, with a row per job, task and metric, allows.

    ``dose`` if several factors were scored, ``lesion_map`` if several networks were lesioned one by one: a
    map for each combination of other settings, such as the method, since their networks are others.
    """
    if scores.empty:
        return {}
    figures: dict[str, Callable[[], Figure]] = {}
    several = scores.groupby(["task", "metric"], sort=False)["factor"].transform("nunique") > 1
    if several.any():
        figures["dose"] = partial(dose_response, scores[several])
    return {**figures, **_lesion_maps(single_lesions(scores))}


def _lesion_maps(lesions: pd.DataFrame) -> dict[str, Callable[[], Figure]]:
    """Map for each combination of other settings with several networks."""
    settings = other_settings(lesions)
    if not settings:
        return {"lesion_map": partial(lesion_map, lesions)} if lesions["networks"].nunique() > 1 else {}
    maps: dict[str, Callable[[], Figure]] = {}
    for values, rows in lesions.groupby(settings, sort=False, dropna=False):
        if rows["networks"].nunique() > 1 and len(maps) < MOST_PANELS:
            name = re.sub(r"[^\w.-]+", "_", "_".join(map(str, values)))
            said = ", ".join(
                f"{name.removeprefix('override/')}={value}"
                for name, value in zip(settings, values, strict=True)
            )
            maps[f"lesion_map_{name}"] = partial(lesion_map, rows, said)
    return maps


def dose_response(rows: pd.DataFrame) -> Figure:
    """Draw scores over the dose, a row per task and a column per choice of networks, with bands of controls.

    Of each task its first metric is drawn; of a single task more networks, in several lines. The dose is the
    energy of the edit, where it is known and the factors lie on one side of 1, else the factor. Every control
    is drawn at its own energy. Each combination of other swept settings is a line.
    """
    first = rows.groupby("task", sort=False)["metric"].first()
    chosen = list(dict.fromkeys(rows["networks"].astype(str)))
    # single networks by number, before sets of them
    chosen.sort(key=lambda name: (0, int(name)) if name.isdigit() else (1, 0))
    tasks = list(first.index)[:MOST_ROWS]
    most = MOST_COLUMNS if len(tasks) > 1 else MOST_PANELS
    networks = chosen if len(chosen) <= most else [*chosen[: most - 1], chosen[-1]]
    width = len(networks) if len(tasks) > 1 else min(WRAPPED, len(networks))
    cells = [(task, name) for task in tasks for name in networks]
    height, side = -(-len(cells) // width), 5.4 if len(cells) == 1 else 2.5
    figure = Figure(figsize=(side * width + 1.4, 1.9 * max(height, 1.4) + 1.3), layout="constrained")
    grid = figure.subplots(height, width, squeeze=False, sharey="row" if len(tasks) > 1 else True)
    by_energy, settings = _has_energies(rows), other_settings(rows)
    for place, axes in enumerate(grid.flat):
        task, name = cells[min(place, len(cells) - 1)]
        panel = rows[(rows["task"] == task) & (rows["networks"].astype(str) == name)]
        panel = panel[panel["metric"] == first[task]]
        if panel.empty or place >= len(cells):
            axes.set_visible(False)
            continue
        _dose_panel(axes, panel, settings, by_energy)
        if place < len(networks):
            axes.set_title("all networks" if name == "all" else f"network {name}", fontsize=9)
        if place % width == 0:
            axes.set_ylabel(f"{task}\n{first[task]}".replace("_", " "), fontsize=8.5)
    of_energy = "energy of the edit: squared change of the activations per token (no change at 0)"
    figure.supxlabel(
        of_energy if by_energy else "factor on the networks' neurons (line: 1, no change)", fontsize=9
    )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    left_out = len(chosen) - len(networks) + len(first) - len(tasks)
    if left_out:
        figure.suptitle(f"{left_out} more tasks and choices of networks in sweep/scores.csv", fontsize=9)
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=max(3, min(2 * width + 1, 5)),
        fontsize=8,
        frameon=False,
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
    else:
        axes.axvline(1, color=GREY, lw=0.9, ls=":")
    axes.tick_params(labelsize=8)
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
        axes.fill_between(place, low, high, color=colour, alpha=0.35, lw=0.5, label=_kind_label(kind))
        # the band of a single draw has no width
        axes.plot(place, (low + high) / 2, color=colour, lw=0.8, marker="o", ms=2)


def _kind_label(kind: str) -> str:
    return f"{kind.replace('_', ' ')} {'reference' if ControlKind(kind).is_reference else 'controls'}"


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
