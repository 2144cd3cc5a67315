"""Figures of pruning: changes of scores of one model, and curves over the share that is pruned."""

import re
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.core.files import Drawings
from fbn_exp.pruning.config import Criterion
from fbn_exp.report.pruning.settings import MODELS, OVERRIDE, setting_in_words, varied_settings
from fbn_exp.report.style import ACCENT, GREY, SECOND

CRITERION_COLOURS = {
    Criterion.networks.value: ACCENT,
    Criterion.magnitude.value: "tab:olive",
    Criterion.wanda.value: SECOND,
    Criterion.attribution.value: "tab:purple",
    Criterion.random.value: GREY,
}
STATE_COLOURS = {"pruned": ACCENT, "recovered": SECOND}
PROBES = "fbn_"
BATTERY = "probes, mean accuracy"
# what tells lines of one criterion apart, and how it is drawn
VARIANTS = ("model", "form", "spared", "bias")
STYLES = ("-", "--", ":", "-.")
MOST_COLUMNS = 3


def changes_figure(table: pd.DataFrame) -> Figure:
    """Draw the change of each task's first metric, with its interval; losses left, accuracies right.

    Parameters
    ----------
    table : DataFrame
        Rows of one pruned model.
    """
    rows = _headlines(table)
    sides = [side for _, side in rows.groupby("higher_is_better", sort=True)]
    figure = Figure(
        figsize=(4.6 * len(sides) + 0.6, 0.4 * rows["task"].nunique() + 1.4), layout="constrained"
    )
    for axes, side in zip(figure.subplots(1, len(sides), squeeze=False).flat, sides, strict=True):
        tasks = list(dict.fromkeys(side["task"]))
        states = list(dict.fromkeys(side["model"]))
        for number, state in enumerate(states):
            mine = side[side["model"] == state]
            places = [tasks.index(task) + 0.25 * (number - (len(states) - 1) / 2) for task in mine["task"]]
            error = np.abs(mine[["ci_low", "ci_high"]].to_numpy().T - mine["delta"].to_numpy())
            style = {"fmt": "o", "ms": 4.5, "capsize": 2.5, "color": STATE_COLOURS[state], "label": state}
            axes.errorbar(mine["delta"], places, xerr=error, **style)
        axes.axvline(0, color="black", lw=0.8)
        axes.set_yticks(range(len(tasks)), [_task_name(task) for task in tasks], fontsize=8)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        better = bool(side["higher_is_better"].iloc[0])
        metric = str(side["metric"].iloc[0]).replace("_", " ")
        axes.set_xlabel(f"change of {metric} ({'right' if better else 'left'} is better)", fontsize=8.5)
        axes.spines[["top", "right"]].set_visible(False)
        if len(states) > 1:
            axes.legend(fontsize=8, frameon=False)
    return figure


def pruning_figures(table: pd.DataFrame) -> Drawings:
    """Return the figures of a sweep of ``prune.py``, one for each language model; none for other sweeps."""
    if table.empty:
        return {}
    models = [name for name in MODELS if name in varied_settings(table)]
    tables = {"pruning": table}
    if models:
        tables = {
            "_".join(["pruning", *(re.sub(r"[^\w.-]+", "-", str(each)) for each in key)]): mine
            for key, mine in table.groupby(models, sort=False)
        }
    return {
        name: partial(curves_figure, mine) for name, mine in tables.items() if mine["ratio"].nunique() > 1
    }


def curves_figure(table: pd.DataFrame) -> Figure:
    """Draw the score of each corpus, and the mean of the probes, over the share of neurons that is pruned.

    Intervals are those of the change, paired over items; of the mean of probes, from those of the tasks,
    taken as independent. Jobs that differ in their seed alone are points, with a line through their means;
    those that differ in another setting have lines of their own.

    Parameters
    ----------
    table : DataFrame
        Rows of all jobs of a sweep.
    """
    rows = _with_battery(_headlines(table))
    varied = [*(name for name in VARIANTS if rows[name].nunique() > 1), *varied_settings(rows)]
    tasks = list(dict.fromkeys(rows["task"]))
    width = min(MOST_COLUMNS, len(tasks))
    height = -(-len(tasks) // width)
    figure = Figure(figsize=(3.5 * width, 2.7 * height + 0.7), layout="constrained")
    grid = figure.subplots(height, width, squeeze=False)
    for axes, task in zip(grid.flat, tasks, strict=False):
        _panel(axes, rows[rows["task"] == task], varied)
        axes.set_title(_task_name(task), fontsize=9.5)
    for axes in list(grid.flat)[len(tasks) :]:
        axes.set_visible(False)
    figure.supxlabel("share of hidden MLP neurons that is pruned", fontsize=9.5)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=min(5, len(labels)), fontsize=8.5, frameon=False
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, varied: list[str]) -> None:
    variants = list(dict.fromkeys(rows[varied].itertuples(index=False, name=None))) if varied else [()]
    for criterion, of_criterion in rows.groupby("criterion", sort=False):
        for number, variant in enumerate(variants):
            mine = of_criterion
            for name, value in zip(varied, variant, strict=True):
                mine = mine[mine[name] == value]
            if mine.empty:
                continue
            means = mine.groupby("ratio")[["before", "after", "ci_low", "ci_high"]].mean()
            ratios = np.array([0.0, *means.index])
            before = means["before"].iloc[0]
            colour = CRITERION_COLOURS[str(criterion)]
            label = " ".join([str(criterion), *(_said(*each) for each in zip(varied, variant, strict=True))])
            after = [before, *means["after"]]
            axes.plot(ratios, after, STYLES[number % len(STYLES)], color=colour, lw=1.5, label=label)
            axes.plot(mine["ratio"], mine["after"], "o", color=colour, ms=3.5)
            low, high = (means["before"] + means[end] for end in ("ci_low", "ci_high"))
            axes.fill_between(ratios, [before, *low], [before, *high], color=colour, alpha=0.12, lw=0)
    axes.axhline(rows["before"].iloc[0], color="black", lw=0.8, ls="--")
    for chance in rows["chance"].dropna().unique():
        axes.axhline(chance, color="black", lw=0.8, ls=":")
    axes.set_ylabel(str(rows["metric"].iloc[0]).replace("_", " "), fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _said(name: str, value: object) -> str:
    """Word for a variant in the legend."""
    if name == "spared":
        return f"({value} blocks spared)"
    if name == "bias":
        return "with bias" if value else "without bias"
    return setting_in_words(name, value) if name.startswith(OVERRIDE) else str(value)


def _task_name(task: str) -> str:
    return task.removeprefix("perplexity_").removeprefix(PROBES).replace("_", " ")


def _headlines(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the first metric of each task."""
    first = table.groupby("task", sort=False)["metric"].transform("first")
    return table[table["metric"] == first]


def _with_battery(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the mean over the probes in the place of each of them."""
    of_battery = rows["task"].str.startswith(PROBES)
    if not of_battery.any():
        return rows
    settings = [name for name in rows if str(name).startswith(OVERRIDE)]
    keys = [name for name in ("job", *settings, *VARIANTS, "criterion", "ratio") if name in rows]
    means = []
    for key, probes in rows[of_battery].groupby(keys, sort=False, dropna=False):
        half = (probes["ci_high"] - probes["ci_low"]) / 2
        spread = float(np.sqrt((half**2).sum())) / len(probes)
        mean = probes[["before", "after", "delta", "chance"]].mean()
        row = dict(zip(keys, key, strict=True)) | mean.to_dict()
        row |= {"task": BATTERY, "metric": "accuracy", "higher_is_better": True}
        means.append({**row, "ci_low": mean["delta"] - spread, "ci_high": mean["delta"] + spread})
    return pd.concat([rows[~of_battery], pd.DataFrame(means)], ignore_index=True)
