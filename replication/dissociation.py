"""Judge whether single networks serve functions of their own, by double dissociation beside rotations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.exact import POWER
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.ica.dissociation import (
    Dissociations,
    dissociating,
    double_dissociations,
    items_of_rotations,
)
from fbn_exp.experiments.paper.rules import (
    DISSOCIATION_ITEMS,
    Finding,
    dissociation_power,
    not_reproduced,
    one_metric_per_task,
    place,
)
from fbn_exp.report.presentation import SIGNIFICANT

# share of items that differ both ways beside an effect
CHURN = 0.1
# binomial standard errors above chance below which a task is at its floor
ABOVE = 1.645
PERMUTATIONS = 9_999

CLAIM = "Single networks serve functions of their own."
RULE = (
    "double dissociation: of two networks, each makes some task worse than it was and than the other makes "
    "it (McNemar's exact test over items, p < .05 by Bonferroni over networks and tasks, and over ordered "
    f"pairs and tasks); at least {DISSOCIATION_ITEMS} items of each task; networks left out whose lesion "
    "leaves no task above chance; and more such pairs than among networks of random rotations of the same "
    "subspace, by the same tests (p ≤ .05 by permuting which of all are the networks)"
)


def functions(table: pd.DataFrame, items: pd.DataFrame, draws: pd.DataFrame, where: str) -> Finding:
    """Judge functions by double dissociation.

    Parameters
    ----------
    table : DataFrame
        One row per network, task and metric, as ``fbn_exp.experiments.paper`` writes it.
    items : DataFrame
        Values of items, right or wrong, of all jobs.
    draws : DataFrame
        Values of items under each rotation; empty if they were not kept.
    where : str
        The model in words.
    """
    rows = one_metric_per_task(table)
    chance = rows.groupby("task", sort=False)["chance"].first()
    own, untouched = _own(rows, items, list(chance.index))
    rotations = _rotations(draws, rows, list(chance.index))
    kept, turned = (_above_chance(values, chance.to_numpy(float)) for values in (own, rotations))
    n_networks, n_items, on = len(kept[0]), int(rows["n"].min()), place(where, rows)
    out = len(own[0]) - n_networks
    if n_networks < 2:
        told = f"{out} of {len(own[0])} networks leave no task above chance"
        return Finding(CLAIM, RULE, f"not shown on {on}: {told}", told)
    found = double_dissociations(kept, turned, untouched, SIGNIFICANT, PERMUTATIONS, np.random.default_rng(0))
    loose = int(dissociating(kept, untouched, SIGNIFICANT, SIGNIFICANT).sum()) // 2
    n_tests = n_networks * (n_networks - 1) * len(chance)
    seen = _detectable(n_items, n_tests)
    powered = (
        f"a pair of effects of {seen:.2g} is found in four of five cases, with {n_items} items of a task"
    )
    return Finding(
        CLAIM,
        RULE,
        _verdict(found, n_items, on, powered),
        f"{found.found} of {found.pairs} pairs, {loose} without the correction; {_beside(found, turned)}; "
        f"{powered}; {out} networks left out",
    )


def _detectable(n_items: int, n_tests: int) -> float:
    """Smallest effect of each network of a pair, beyond that of the other, found with a power of 80%."""
    sizes = np.arange(0.01, 1 - CHURN, 0.01)
    found = [size for size in sizes if dissociation_power(size, CHURN, n_items, n_tests) >= POWER]
    return float(found[0]) if found else float("inf")


def _verdict(found: Dissociations, n_items: int, on: str, powered: str) -> str:
    if n_items < DISSOCIATION_ITEMS:
        return f"not shown on {on}: {n_items} items of a task are too few, {powered}"
    if not found.found:
        return f"{not_reproduced(on)}: {powered}"
    if np.isnan(found.p_value):
        return f"not decided on {on}: networks differ, and whether rotations of them do was not asked"
    if found.p_value > SIGNIFICANT:
        p_value = f"p = {found.p_value:.2g}"
        return f"not reproduced on {on}: networks differ, and rotations of them no less often ({p_value})"
    return "reproduced"


def _beside(found: Dissociations, rotations: Sequence[Array]) -> str:
    if np.isnan(found.p_value):
        return "rotations were not scored item by item"
    return (
        f"{found.expected:.3g} at the rate of {len(rotations[0])} rotations that leave a task above chance "
        f"(p = {found.p_value:.2g})"
    )


def _own(rows: pd.DataFrame, items: pd.DataFrame, tasks: Sequence[str]) -> tuple[list[Array], list[Array]]:
    """Items of each task that are right, under each network (D, n) and of the untouched model (n,)."""
    known = items.merge(rows[["job", "task", "metric", "networks"]], on=["job", "task", "metric"])
    values, untouched = [], []
    for task in tasks:
        scored = known[known["task"] == task]
        values.append(scored.pivot(index="networks", columns="item", values="value").to_numpy(float))
        first = scored[scored["networks"] == scored["networks"].iloc[0]]
        untouched.append(first.sort_values("item")["baseline"].to_numpy(float))
    return values, untouched


def _rotations(draws: pd.DataFrame, rows: pd.DataFrame, tasks: Sequence[str]) -> list[Array]:
    """Items of each task that are right, under each rotation (R, n); empty if that is not known.

    The draws of all networks are the same ones: those of the first job are taken.
    """
    if draws.empty:
        return []
    same = draws[draws["job"] == draws["job"].iloc[0]]
    return items_of_rotations(same.merge(rows[["task", "metric"]].drop_duplicates()), tasks)


def _above_chance(values: Sequence[Array], chance: Array) -> list[Array]:
    """Values (D, n) of each task, without networks that leave no task above chance."""
    if not values:
        return []
    means = np.stack([each.mean(axis=1) for each in values])
    errors = np.sqrt(chance * (1 - chance) / [each.shape[1] for each in values])
    above = (means > (chance + ABOVE * errors)[:, None]).any(axis=0)
    return [each[above] for each in values]
