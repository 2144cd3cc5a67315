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
    beside_controls,
    dissociation_power,
    draws_in_words,
    floored,
    harms_most,
    not_reproduced,
    one_metric_per_task,
    place,
    sign,
)
from fbn_exp.report.presentation import SIGNIFICANT

# effect whose power is said
EFFECT = 0.2


def functions(table: pd.DataFrame, items: pd.DataFrame, model: str) -> Finding:
    """Judge functions by double dissociation: two networks, each more harmful than the other on some task."""
    rows = one_metric_per_task(table)
    out = floored(rows)
    kept = rows[~rows["networks"].isin(out)]
    rule = (
        "double dissociation: of two networks, each harms some task beyond controls and more than the other "
        "does (McNemar's exact test over items, p < .05 after Holm over all pairs and tasks); at least "
        f"{DISSOCIATION_ITEMS} items of each task; networks left out whose lesion leaves no task above chance"
    )
    claim = f"Single networks serve functions of their own ({model})."
    n_items, where = int(rows["n"].min()), place(model, rows)
    if kept["networks"].nunique() < 2:
        told = f"{len(out)} of {rows['networks'].nunique()} networks leave no task above chance"
        return Finding(claim, rule, f"not shown on {where}: {told}", told)
    beyond = kept.assign(beyond=harms_most(kept)).pivot(index="networks", columns="task", values="beyond")
    p_values = _more_harm(kept, items, beyond)
    corrected = holm(p_values.ravel()).reshape(p_values.shape)

    def pairs(p: Array) -> int:
        """Count pairs of networks that each do more harm than the other, and than controls, on some task."""
        more = (beyond.to_numpy(dtype=bool)[:, None, :] & (p < SIGNIFICANT)).any(axis=2)
        return int(np.triu(more & more.T, 1).sum())

    n_networks, n_tasks = beyond.shape
    n_pairs = n_networks * (n_networks - 1) // 2
    n_tests = max(1, int(np.isfinite(p_values).sum()))
    power = dissociation_power(EFFECT, EFFECT, n_items, n_tests)
    powered = f"power {power:.2g} for an effect of {EFFECT} against {EFFECT} with {n_items} items"
    if n_items < DISSOCIATION_ITEMS:
        said = f"not shown on {where}: {n_items} items of a task are too few, {powered}"
    elif pairs(corrected):
        said = "holds"
    else:
        said = f"{not_reproduced(where, beside_controls(kept))}; {powered}"
    return Finding(
        claim,
        rule,
        said,
        f"{pairs(corrected)} of {n_pairs} pairs, {pairs(p_values)} without the correction; {powered}; "
        f"{len(out)} networks left out; {draws_in_words(kept)}; of {n_networks * n_tasks} lesions "
        f"({n_networks} networks × {n_tasks} tasks) {int(kept['harms'].sum())} harm, "
        f"{int(beyond.to_numpy().sum())} of them beyond controls",
    )


def _more_harm(rows: pd.DataFrame, items: pd.DataFrame, beyond: pd.DataFrame) -> Array:
    """P value that network i does only as much harm as j, NaN if it does less; (i, j, task)."""
    signs = dict(zip(rows["metric"], sign(rows), strict=True))
    known = items.merge(rows[["job", "task", "metric", "networks"]], on=["job", "task", "metric"])
    p_values = np.full((len(beyond), len(beyond), beyond.shape[1]), np.nan)
    for column, task in enumerate(beyond.columns):
        scored = known[known["task"] == task]
        table = scored.pivot(index="networks", columns="item", values="value").loc[beyond.index]
        harm = -signs[scored["metric"].iloc[0]] * table.to_numpy()
        for one, other in itertools.combinations(range(len(beyond)), 2):
            difference = harm[one] - harm[other]
            worse, better = (one, other) if difference.sum() > 0 else (other, one)
            p_values[worse, better, column] = sign_flip_p_value(difference)
    return p_values
