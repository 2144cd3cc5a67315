"""Figure of lesions of single networks: the harm to each task, beside that of controls."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.style import is_dark

ALL = "all"
CHANCE = [kind.value for kind in ControlKind if kind.is_chance]
# cells above which there is no room for numbers
MOST_ROWS, MOST_COLUMNS = 20, 12
# inches
CELL_WIDTH, CELL_HEIGHT = 1.25, 0.5
# the title has no room in less
TITLE_WIDTH = 6.4


def single_lesions(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the rows in which a single network, or all of them, was set to 0."""
    chosen = scores["networks"].astype(str).str.fullmatch(rf"\d+|{ALL}")
    lesioned = (scores["intervention"] == "inhibit") | (scores["factor"] == 0)
    return scores[chosen & lesioned]


def lesion_map(lesions: pd.DataFrame, settings: str = "") -> Figure:
    """Draw the harm of each network's lesion to each task; double dissociation appears as a diagonal.

    Harm is the difference to the untouched model, signed so that positive is worse. Measures in the same unit
    share a panel, one scale and a colour bar, which spans the lesions of single networks. A cell has the
    harm, its 95% interval, and the mean harm of the controls of chance; the harm is bold if it lies outside
    the range of all of their draws. Measures that no lesion changes are left out, unless none changes. The
    settings stand above the map.
    """
    table = _with_harm(lesions)
    networks = sorted(
        table["networks"].unique(), key=lambda name: (name == ALL, int(name) if name != ALL else 0)
    )
    panels = [(str(metric), rows) for metric, rows in table.groupby("metric", sort=False)]
    panels = [(metric, rows) for metric, rows in panels if rows["harm"].any()] or panels
    widths = [rows["task"].nunique() for _, rows in panels]
    width = 1.3 + sum(widths) * CELL_WIDTH + 1.1 * len(panels)
    figure = Figure(
        figsize=(max(width, TITLE_WIDTH), 1.5 + CELL_HEIGHT * len(networks)), layout="constrained"
    )
    grid = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for place, (axes, (metric, rows)) in enumerate(zip(grid, panels, strict=True)):
        image = _panel(axes, rows, networks)
        figure.colorbar(image, ax=axes, label=f"harm: {metric.replace('_', ' ')}", extend="both", pad=0.02)
        axes.set_yticks(range(len(networks)), networks if place == 0 else [""] * len(networks))
    grid[0].set_ylabel("network set to 0")
    cells = "in a cell the harm and its 95% interval"
    if table["control"].notna().any():
        cells = (
            "in a cell the harm, bold outside all draws of controls,\n"
            "its 95% interval, and the mean of the controls"
        )
    title = f"Harm of each lesion: difference to the untouched model, positive is worse\n{cells}"
    figure.suptitle(f"{settings}\n{title}" if settings else title, fontsize=9.5)
    return figure


def _with_harm(lesions: pd.DataFrame) -> pd.DataFrame:
    """Add harm, its interval, and the mean and range of the harm of controls of chance."""
    # of one piece: the table of a sweep is put together column by column
    lesions = lesions.copy()
    sign = pd.Series(np.where(lesions["higher_is_better"], -1.0, 1.0), index=lesions.index)
    table = lesions.assign(networks=lesions["networks"].astype(str), harm=sign * lesions["delta"])
    missing = pd.Series(np.nan, index=lesions.index)
    one, other = (sign * lesions.get(name, missing) for name in ("ci_low", "ci_high"))
    table["least"], table["most"] = np.fmin(one, other), np.fmax(one, other)
    for name, ending, summary in (
        ("control", "", "mean"),
        ("control_low", "_low", "min"),
        ("control_high", "_high", "max"),
    ):
        columns = [f"control_{kind}{ending}" for kind in CHANCE if f"control_{kind}{ending}" in lesions]
        values = lesions[columns].apply(pd.to_numeric).agg(summary, axis=1) if columns else missing
        table[name] = sign * (values - lesions.get("baseline", missing))
    return table


def _panel(axes: Axes, rows: pd.DataFrame, networks: list[str]) -> AxesImage:
    """Draw the measures of one unit on one scale."""
    tasks = list(rows["task"].unique())
    fields = {
        name: rows.pivot_table(index="networks", columns="task", values=name, sort=False, dropna=False)
        .reindex(index=networks, columns=tasks)
        .to_numpy(dtype=float)
        for name in ("harm", "least", "most", "control", "control_low", "control_high")
    }
    harm = fields["harm"]
    single = harm[[name != ALL for name in networks]]
    top = float(np.nanmax(np.abs(single), initial=0.0)) or 1.0
    image = axes.imshow(harm, aspect="auto", cmap="RdBu_r", vmin=-top, vmax=top)
    axes.set_xticks(range(len(tasks)), tasks, fontsize=8, rotation=30, ha="right")
    if ALL in networks and len(networks) > 1:
        axes.axhline(len(networks) - 1.5, color="black", lw=1.2)
    if len(networks) <= MOST_ROWS and len(tasks) <= MOST_COLUMNS:
        # two digits of the largest harm, and no less than hundredths
        digits = min(6, max(2, 1 - math.floor(math.log10(top))))
        _write_cells(axes, image, fields, f"+z.{digits}f")
    return image


def _write_cells(axes: Axes, image: AxesImage, fields: dict[str, Array], form: str) -> None:
    for (row, column), harm in np.ndenumerate(fields["harm"]):
        if np.isnan(harm):
            continue
        least, most, control, one, other = (
            fields[name][row, column] for name in ("least", "most", "control", "control_low", "control_high")
        )
        colour = "white" if is_dark(image, harm) else "black"
        low, high = sorted((one, other))
        outside = harm < low or harm > high
        weight = "bold" if outside else "normal"
        axes.text(
            column,
            row - 0.24,
            f"{harm:{form}}",
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
            weight=weight,
        )
        details = "" if np.isnan(least) else f"{least:{form}} … {most:{form}}"
        details += "" if np.isnan(control) else f"\ncontrols {control:{form}}"
        axes.text(column, row + 0.18, details, ha="center", va="center", fontsize=6.8, color=colour)
