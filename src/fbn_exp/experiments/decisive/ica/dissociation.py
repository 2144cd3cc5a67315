"""Double dissociations: pairs of directions, each of which harms a task, and more than the other one does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind


@dataclass(frozen=True)
class Dissociations:
    """Double dissociations among directions, beside those among rotations.

    Attributes
    ----------
    found, pairs : int
        Pairs that dissociate, of how many.
    expected : float
        Pairs that would dissociate at the rate of the rotations; NaN if their items are not known.
    p_value : float
        One-sided p that the directions dissociate no more often than rotations do, by permutation of which
        directions are the method's; NaN if the rotations' items are not known.
    """

    found: int
    pairs: int
    expected: float = float("nan")
    p_value: float = float("nan")


def double_dissociations(
    own: Sequence[Array],
    rotations: Sequence[Array],
    untouched: Sequence[Array],
    alpha: float,
    permutations: int,
    rng: np.random.Generator,
) -> Dissociations:
    """Count pairs of directions that dissociate, and compare with rotations by the same tests.

    Parameters
    ----------
    own : sequence of T arrays of shape (D, n)
        1 for an item that is right under a direction, 0 for one that is wrong, for each task.
    rotations : sequence of T arrays of shape (R, n)
        The same under rotations; empty if that is not known.
    untouched : sequence of T arrays of shape (n,)
        The same of the untouched model.
    alpha : float
        Level, over all tests of the D directions (Bonferroni); rotations are tested at the same.
    permutations : int
        Number of permutations.
    rng : Generator
        Source of the permutations.
    """
    count, n_tasks = len(own[0]), len(own)
    n_pairs = count * (count - 1) // 2
    levels = (alpha / (count * n_tasks), alpha / max(1, 2 * n_pairs * n_tasks))
    if not rotations:
        return Dissociations(int(dissociating(own, untouched, *levels).sum()) // 2, n_pairs)
    both = [np.concatenate(pair) for pair in zip(own, rotations, strict=True)]
    pairs = dissociating(both, untouched, *levels)
    found = _within(pairs, np.arange(count))
    among = pairs[count:, count:]
    others = len(among) * (len(among) - 1)
    expected = n_pairs * float(among.sum()) / others if others else float("nan")
    drawn = np.array([_within(pairs, rng.permutation(len(pairs))[:count]) for _ in range(permutations)])
    p_value = float((1 + (drawn >= found).sum()) / (1 + permutations))
    return Dissociations(found, n_pairs, expected, p_value)


def items_of_rotations(draw_items: pd.DataFrame, tasks: Sequence[str]) -> list[Array]:
    """Values of items under each rotation (R, n), of each task; empty if they were not kept.

    Parameters
    ----------
    draw_items : DataFrame
        Values of items under every draw of a job, for one metric of each task.
    tasks : sequence of str
        Tasks, in the order of the result.
    """
    if draw_items.empty:
        return []
    kept = draw_items[draw_items["kind"] == ControlKind.rotation.value].sort_values("item", kind="stable")
    columns = [name for name in kept if str(name).startswith("draw_")]
    return [kept.loc[kept["task"] == task, columns].to_numpy(float).T for task in tasks]


def dissociating(
    right: Sequence[Array], untouched: Sequence[Array], harm_level: float, pair_level: float
) -> NDArray[np.bool_]:
    """Find pairs of directions that dissociate; a symmetric array of shape (D, D), True for a pair.

    Each direction must make some task worse than the untouched model has it, and than the other direction
    has it: otherwise a direction that improves a task would dissociate from one that does nothing. Both by
    exact one-sided binomial tests of items that are right under one of the two alone (McNemar).

    Parameters
    ----------
    right : sequence of T arrays of shape (D, n)
        1 for an item that is right under a direction, 0 for one that is wrong, for each task.
    untouched : sequence of T arrays of shape (n,)
        The same of the untouched model.
    harm_level, pair_level : float
        Levels of a test against the untouched model, and against another direction.
    """
    more = np.zeros((len(right[0]), len(right[0])), dtype=bool)
    for values, before in zip(right, untouched, strict=True):
        harmed = _p_worse((1 - values) @ before, values @ (1 - before)) <= harm_level
        lost = (1 - values) @ values.T
        more |= harmed[:, None] & (_p_worse(lost, lost.T) <= pair_level)
    both: NDArray[np.bool_] = more & more.T
    return both


def _p_worse(lost: Array, gained: Array) -> Array:
    """One-sided p of McNemar's exact test, by the items that are wrong under the first alone, and right."""
    p: Array = binom.sf(lost - 1, lost + gained, 0.5)
    return p


def _within(pairs: NDArray[np.bool_], chosen: NDArray[np.intp]) -> int:
    return int(pairs[np.ix_(chosen, chosen)].sum()) // 2
