"""Judge whether single networks serve functions of their own, by double dissociation."""

import itertools

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.families import holm
from fbn_exp.benchmarks.inference.signs import sign_flip_p_value
from fbn_exp.core.rows import Array
from fbn_exp.experiments.paper.rules import (
    DISSOCIATION_ITEMS,
    Finding,
    against_untouched,
    dissociation_power,
    floored,
    not_reproduced,
    one_metric_per_task,
    place,
    sign,
)
from fbn_exp.report.presentation import SIGNIFICANT

# effect whose power is said
EFFECT = 0.2


def functions(table: pd.DataFrame, items: pd.DataFrame, where: str) -> Finding:
    """Judge functions by double dissociation: two networks, each more harmful than the other on some task.

    Other neurons and rotations are not looked at: two networks that differ may do so as any two sets do.
    """
    rows = one_metric_per_task(table)
    out = floored(rows)
    kept = rows[~rows["networks"].isin(out)]
    rule = (
        "double dissociation: of two networks, each harms some task and does so more than the other does "
        "(McNemar's exact test over items, p < .05 after Holm over all pairs and tasks); at least "
        f"{DISSOCIATION_ITEMS} items of each task; networks left out whose lesion leaves no task above "
        "chance. It is necessary for functions and not enough: whether other directions differ as much is "
        "asked by experiment B"
    )
    claim = "Single networks serve functions of their own."
    n_items, on = int(rows["n"].min()), place(where, rows)
    if kept["networks"].nunique() < 2:
        told = f"{len(out)} of {rows['networks'].nunique()} networks leave no task above chance"
        return Finding(claim, rule, f"not shown on {on}: {told}", told)
    harms = kept.pivot(index="networks", columns="task", values="harms")
    p_values = _more_harm(kept, items, harms)
    corrected = holm(p_values.ravel()).reshape(p_values.shape)
    n_networks, n_tasks = harms.shape
    n_tests = max(1, int(np.isfinite(p_values).sum()))
    power = dissociation_power(EFFECT, EFFECT, n_items, n_tests)
    powered = f"power {power:.2g} for an effect of {EFFECT} against {EFFECT} with {n_items} items"
    pairs = _pairs(harms, corrected)
    if n_items < DISSOCIATION_ITEMS:
        said = f"not shown on {on}: {n_items} items of a task are too few, {powered}"
    elif pairs:
        said = f"reproduced in part on {on}: networks differ, which other directions may as well"
    else:
        said = f"{not_reproduced(on, against_untouched(kept))}; {powered}"
    return Finding(
        claim,
        rule,
        said,
        f"{pairs} of {n_networks * (n_networks - 1) // 2} pairs, {_pairs(harms, p_values)} without the "
        f"correction; {powered}; {len(out)} networks left out; of {n_networks * n_tasks} lesions "
        f"({n_networks} networks × {n_tasks} tasks) {int(kept['harms'].sum())} harm",
    )


def _pairs(harms: pd.DataFrame, p_values: Array) -> int:
    """Count pairs of networks that each harm some task, and more than the other does."""
    more = (harms.to_numpy(dtype=bool)[:, None, :] & (p_values < SIGNIFICANT)).any(axis=2)
    return int(np.triu(more & more.T, 1).sum())


def _more_harm(rows: pd.DataFrame, items: pd.DataFrame, harms: pd.DataFrame) -> Array:
    """P value that network i does only as much harm as j, NaN if it does less; (i, j, task)."""
    signs = dict(zip(rows["metric"], sign(rows), strict=True))
    known = items.merge(rows[["job", "task", "metric", "networks"]], on=["job", "task", "metric"])
    p_values = np.full((len(harms), len(harms), harms.shape[1]), np.nan)
    for column, task in enumerate(harms.columns):
        scored = known[known["task"] == task]
        table = scored.pivot(index="networks", columns="item", values="value").loc[harms.index]
        cost = -signs[scored["metric"].iloc[0]] * table.to_numpy()
        for one, other in itertools.combinations(range(len(harms)), 2):
            difference = cost[one] - cost[other]
            worse, better = (one, other) if difference.sum() > 0 else (other, one)
            p_values[worse, better, column] = sign_flip_p_value(difference)
    return p_values
