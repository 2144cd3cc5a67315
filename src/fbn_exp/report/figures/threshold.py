"""Figure of the effect of a threshold on the networks' sizes, their overlap, and the harm of a lesion."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.core.files import Drawings
from fbn_exp.report.networks import OVERLAPS, SIZES, UNION_SIZE
from fbn_exp.report.style import ACCENT, CONTROL_COLOURS

THRESHOLDS = ("threshold.value", "threshold.fraction", "threshold.rate", "threshold.posterior")
SIZE_LABELS = {"largest": "largest network", "mean": "mean of the networks", "smallest": "smallest network"}
OVERLAP_LABELS = {"largest": "most alike pair", "mean": "mean over pairs"}
# largest number of curves of lesions that can be told apart
MOST_CURVES = 4


def threshold_figures(jobs: pd.DataFrame, settings: pd.DataFrame, scores: pd.DataFrame) -> Drawings:
    """Return the figure of the effect of a threshold, if at least two finished jobs differ in one.

    Parameters
    ----------
    jobs : DataFrame
        Name and flat metrics, with a row per job.
    settings : DataFrame
        Values of the swept settings, in the same rows.
    scores : DataFrame
        Scores, with a row per job, task and metric; may be empty.
    """
    swept = next((name for name in THRESHOLDS if name in settings and settings[name].nunique() > 1), None)
    if swept is None or SIZES["mean"] not in jobs:
        return {}
    thresholds = pd.Series(pd.to_numeric(settings[swept]).to_numpy(), index=jobs["job"])
    finished = jobs[jobs[SIZES["mean"]].notna()]
    if thresholds[finished["job"]].nunique() < 2:
        return {}
    sizes, scored = (
        frame if frame.empty else frame.assign(threshold=frame["job"].map(thresholds))
        for frame in (finished, scores)
    )
    return {"threshold": partial(threshold_effect, sizes, scored, swept)}


def threshold_effect(jobs: pd.DataFrame, scores: pd.DataFrame, swept: str) -> Figure:
    """Draw sizes, overlap and, if jobs have scores, the effect of the intervention over the threshold.

    Both tables have a column ``threshold``; ``swept`` is the name of the setting.
    """
    n_panels = 2 if scores.empty else 3
    figure = Figure(figsize=(4.1 * n_panels, 3.6), layout="constrained")
    panels = figure.subplots(1, n_panels)
    curves = jobs.groupby("threshold").mean(numeric_only=True)
    for name, label in SIZE_LABELS.items():
        panels[0].plot(curves.index, curves[SIZES[name]], marker="o", ms=3.5, label=label)
    panels[0].plot(curves.index, curves[UNION_SIZE], marker="s", ms=3.5, color="black", label="all together")
    panels[0].set_yscale("symlog", linthresh=1)
    panels[0].set_ylim(0, 12 * max(1.0, float(curves[UNION_SIZE].max())))  # room for the legend
    panels[0].set_title("neurons", fontsize=10)
    panels[0].legend(fontsize=7, frameon=False, loc="upper right", ncols=2)
    for name, label in OVERLAP_LABELS.items():
        panels[1].plot(curves.index, curves[OVERLAPS[name]], marker="o", ms=3.5, label=label)
    panels[1].set_ylim(bottom=0)
    panels[1].set_title("overlap, intersection over union", fontsize=10)
    panels[1].legend(fontsize=7, frameon=False)
    if n_panels == 3:
        _lesions(panels[2], scores)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(swept, fontsize=9)
    return figure


def _lesions(axes: Axes, scores: pd.DataFrame) -> None:
    """Draw the difference of the first metric to the untouched model, one curve per choice of networks."""
    first = scores[["task", "metric"]].iloc[0]
    rows = scores[(scores["task"] == first["task"]) & (scores["metric"] == first["metric"])]
    chosen = list(rows.groupby("networks", sort=False))[:MOST_CURVES]
    for place, (name, each) in enumerate(chosen):
        curve = each.sort_values("threshold")
        value = curve["delta"].to_numpy(dtype=float)
        errors = np.abs(np.stack([value - curve["ci_low"], curve["ci_high"] - value]))
        label = "networks" if name == "all" else f"network {name}"
        colour = ACCENT if len(chosen) == 1 else f"C{place}"
        axes.errorbar(
            curve["threshold"], value, yerr=errors, marker="o", ms=3.5, capsize=2, color=colour, label=label
        )
        if len(chosen) == 1:
            _controls(axes, curve)
    axes.axhline(0, color="black", lw=0.8, ls="--")
    axes.set_title(f"{first['task']}: {first['metric']},\ndifference to untouched", fontsize=10)
    axes.legend(fontsize=7, frameon=False)


def _controls(axes: Axes, curve: pd.DataFrame) -> None:
    for kind, colour in CONTROL_COLOURS.items():
        if f"control_{kind}_low" not in curve:
            continue
        low, high = (
            (curve[f"control_{kind}_{side}"] - curve["baseline"]).to_numpy(dtype=float)
            for side in ("low", "high")
        )
        if not np.isnan(low).all():
            axes.fill_between(
                curve["threshold"], low, high, color=colour, alpha=0.3, label=f"{kind} controls"
            )
