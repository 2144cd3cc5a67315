"""Figure of learning and forgetting: scores before and after, per choice of trained parameters."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.core.files import Drawings
from fbn_exp.report.style import ACCENT, CONTROL_COLOURS

# roles in a table of scores before and after training
TRAINED, OTHER = "trained", "other"
NUMBERS = ("before", "after", "ci_low", "ci_high")
MOST_COLUMNS = 5


def forgetting_figures(forgetting: pd.DataFrame) -> Drawings:
    """Return the figure of a sweep of ``train.py``; none for other sweeps, whose table is empty.

    Parameters
    ----------
    forgetting : DataFrame
        One row per job, task and metric: ``trainable``, ``role``, ``before``, ``after``, ``delta`` and its
        interval.
    """
    return {} if forgetting.empty else {"forgetting": partial(before_and_after, forgetting)}


def headlines(forgetting: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield title and rows of each task's first metric, the trained task first; ``choice`` names the job.

    Parameters
    ----------
    forgetting : DataFrame
        Table of a sweep.
    """
    jobs = forgetting.drop_duplicates("job").set_index("job")["trainable"]
    names = {
        job: f"{name} (job {job})" if repeated else str(name)
        for job, name, repeated in zip(jobs.index, jobs, jobs.duplicated(keep=False), strict=True)
    }
    named = forgetting.assign(choice=forgetting["job"].map(names))
    trained_first = named.sort_values("role", ascending=False, kind="stable")
    for (role, task), rows in trained_first.groupby(["role", "task"], sort=False):
        metric = rows["metric"].iloc[0]
        title = f"{task}: {str(metric).replace('_', ' ')}" + (" (trained)" if role == TRAINED else "")
        yield title, rows[rows["metric"] == metric]


def before_and_after(forgetting: pd.DataFrame) -> Figure:
    """Draw a panel per task: arrows from the score before to that after, with the interval of the change."""
    panels = list(headlines(forgetting))
    columns = min(MOST_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    n_jobs = forgetting["job"].nunique()
    figure = Figure(figsize=(2.9 * columns + 1.6, (0.34 * n_jobs + 1.1) * lines + 0.5), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    choices = list(dict.fromkeys(name for _, rows in panels for name in rows["choice"]))
    for place, (axes, (title, rows)) in enumerate(zip(grid.flat, panels, strict=False)):
        _panel(axes, rows, choices)
        axes.set_title(title.replace(": ", "\n", 1), fontsize=9)
        axes.set_yticks(range(len(choices)), choices)
        axes.tick_params(left=place % columns == 0, labelleft=place % columns == 0)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    chance = "; dotted: chance" if forgetting["chance"].notna().any() else ""
    figure.supxlabel(
        f"score after training, with the 95% interval of the change; dashed: before{chance}", fontsize=9
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, choices: list[str]) -> None:
    for name, before, after, low, high in zip(
        rows["choice"], *(rows[each].astype(float) for each in NUMBERS), strict=True
    ):
        place = choices.index(name)
        colour = next((each for kind, each in CONTROL_COLOURS.items() if f"{kind} control" in name), ACCENT)
        axes.plot([before, after], [place, place], color=colour, lw=1, alpha=0.5)
        interval = np.maximum([[after - (before + low)], [before + high - after]], 0)
        axes.errorbar([after], [place], xerr=interval, fmt="o", ms=4.5, capsize=2.5, color=colour)
    for name, style in (("before", "--"), ("chance", ":")):
        drawn = rows.dropna(subset=[name])
        # usually all jobs of a sweep start from the same model; else each has a line of its own
        places = np.array([choices.index(each) for each in drawn["choice"]])
        reach = 0.45 if drawn[name].nunique() > 1 else np.inf
        low, high = np.maximum(places - reach, -0.5), np.minimum(places + reach, len(choices) - 0.5)
        axes.vlines(drawn[name].astype(float), low, high, color="black", lw=0.8, ls=style)
    axes.set_ylim(len(choices) - 0.5, -0.5)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if rows["higher_is_better"].iloc[0]:
        axes.set_xlabel("better →", fontsize=8, loc="right")
    else:
        axes.set_xlabel("← better", fontsize=8, loc="left")
