"""Picture of the claim of ICA: selectivity of every direction, what they cost each task, and their maps."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.experiments.decisive.config import ICAClaimConfig
from fbn_exp.experiments.decisive.ica.table import CLAIMED, METHODS, ROTATIONS
from fbn_exp.report.style import ACCENT, CHANCE, SECOND

PREFIX = "residual/"


def ica_figure(config: ICAClaimConfig, directions: pd.DataFrame, model: str) -> Figure:
    """Draw the table of directions of ``ica_tables``: selectivity, then ICA's interaction with tasks."""
    rows = directions[directions["metric"] == config.endpoint]
    methods = [name for name in METHODS if (rows["method"] == name).any()]
    with_halves = rows["split_half"].notna().any()
    figure = Figure(figsize=(13.0 if with_halves else 9.6, 4.3), layout="constrained")
    panels = figure.subplots(
        1, 3 if with_halves else 2, width_ratios=[1.0, 1.15, 0.8][: 3 if with_halves else 2]
    )
    _selectivity(panels[0], config, rows, methods)
    _tasks(figure, panels[1], config, rows[rows["method"] == CLAIMED])
    if with_halves:
        _halves(panels[2], rows, [name for name in methods if name != ROTATIONS])
    figure.suptitle(
        f"{model}: directions of equal removed energy, and what they change in tasks", fontsize=10
    )
    return figure


def _colour(method: str) -> str:
    return {CLAIMED: ACCENT, ROTATIONS: CHANCE}.get(method, SECOND)


def _selectivity(axes: Axes, config: ICAClaimConfig, rows: pd.DataFrame, methods: list[str]) -> None:
    """Draw one point per direction: general loss across, selectivity up, a row per method."""
    rng = np.random.default_rng(0)
    for place, method in enumerate(methods):
        values = rows.loc[rows["method"] == method, "selectivity"].to_numpy()
        around = place + rng.uniform(-0.22, 0.22, len(values))
        axes.plot(values, around, "o", ms=4.5, alpha=0.75, color=_colour(method))
        axes.plot([values.mean()] * 2, [place - 0.34, place + 0.34], color="black", lw=2)
    turned = rows.loc[rows["method"] == ROTATIONS, "selectivity"]
    limit = float(np.quantile(turned, 1 - config.alpha))
    axes.axvline(limit, color=CHANCE, lw=1, ls="--")
    axes.annotate(
        "95th percentile of rotations",
        (limit, 0),
        xycoords=("data", "axes fraction"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=7,
        rotation=90,
        va="bottom",
    )
    axes.set_yticks(range(len(methods)), [METHODS[each] for each in methods], fontsize=8)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"selectivity ({config.endpoint}, SD); black: mean")
    axes.set_title("every direction", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _tasks(figure: Figure, axes: Axes, config: ICAClaimConfig, own: pd.DataFrame) -> None:
    """Draw ICA's networks × tasks: changes beyond a general loss, a dot where max-T names a cell."""
    columns = [name for name in own.columns if name.startswith(PREFIX)]
    values = own[columns].to_numpy(float)
    most = max(float(np.abs(values).max()), 1e-12)
    image = axes.imshow(values, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    tasks = [name.removeprefix(PREFIX) for name in columns]
    named = own["p_corrected"].to_numpy() <= config.alpha
    for row, task in enumerate(own["task"]):
        if named[row]:
            axes.plot(tasks.index(task), row, "o", ms=5, mfc="none", color="black")
    axes.set_xticks(range(len(tasks)), tasks, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(own)), own["network"], fontsize=8)
    axes.set_ylabel("network of ICA")
    axes.set_title("beyond a general loss (circle: strongest, max-T)", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.85).set_label("change of the margin, SD", fontsize=8)


def _halves(axes: Axes, rows: pd.DataFrame, methods: list[str]) -> None:
    """Draw the agreement of maps between halves of the texts, beside its chance level."""
    for place, method in enumerate(methods):
        own = rows[rows["method"] == method]
        around = place + np.linspace(-0.25, 0.25, len(own))
        axes.plot(own["split_half"], around, "o", ms=4.5, color=_colour(method))
        axes.plot(own["split_half_null_95"], around, "|", ms=9, mew=2, color=CHANCE)
    axes.set_yticks(range(len(methods)), [METHODS[each] for each in methods], fontsize=8)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("split-half |r| of the map\n(bar: 95th percentile by chance)")
    axes.set_title("maps of two halves of the texts", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
