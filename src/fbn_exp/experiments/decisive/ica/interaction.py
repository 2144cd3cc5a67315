"""Interaction of directions and tasks: what a direction costs some tasks beyond what it costs all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from fbn_exp.benchmarks.inference.exact import POWER
from fbn_exp.core.rows import Array

# singular value, relative to the largest, below which a profile of tasks is the same loss for all
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Selectivity:
    """Interaction of D directions with T tasks.

    Attributes
    ----------
    residuals, errors : array of shape (D, T)
        Changes beyond a general loss, and their standard errors over items.
    size : array of shape (D,)
        Root mean square of the residuals over tasks, without what the noise of items adds; 0 where that is
        all.
    share : array of shape (D,)
        Part of the squared changes that is not general, 0 to 1; NaN where all changes are noise.
    """

    residuals: Array
    errors: Array
    size: Array
    share: Array


def remainder(profile: Array) -> Array:
    """Projection (T, T) on what is left of changes of T tasks beside a general loss.

    A general loss is any sum of a change that all tasks have alike and one in proportion to ``profile``.
    """
    general = np.stack([np.ones_like(profile), profile], axis=1)
    left, values, _ = np.linalg.svd(general, full_matrices=False)
    basis = left[:, values > SAME * values[0]]
    projection: Array = np.eye(len(profile)) - basis @ basis.T
    return projection


def selectivity(changes: Array, errors: Array, profile: Array) -> Selectivity:
    """Split changes into a general loss and an interaction.

    Parameters
    ----------
    changes, errors : array of shape (D, T)
        Mean changes of the tasks under each direction, and their standard errors.
    profile : array of shape (T,)
        Changes under other directions, on average.
    """
    left = remainder(profile)
    residuals = changes @ left
    spread = np.sqrt(errors**2 @ (left**2).T)
    squared = (residuals**2).mean(axis=1) - (spread**2).mean(axis=1)
    whole = (changes**2).mean(axis=1) - (errors**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0, np.clip(squared / whole, 0, 1), np.nan)
    return Selectivity(residuals, spread, np.sqrt(np.clip(squared, 0, None)), share)


def selectivity_of_draws(changes: Array, errors: Array) -> Selectivity:
    """Selectivity of draws, each by the mean profile of all others; arguments as of ``selectivity``."""
    total = changes.sum(axis=0)
    each = [
        selectivity(change[None], error[None], (total - change) / (len(changes) - 1))
        for change, error in zip(changes, errors, strict=True)
    ]
    return Selectivity(
        np.concatenate([one.residuals for one in each]),
        np.concatenate([one.errors for one in each]),
        np.concatenate([one.size for one in each]),
        np.concatenate([one.share for one in each]),
    )


def p_above(own: Array, others: Array, permutations: int, rng: np.random.Generator) -> float:
    """One-sided p that the mean of ``own`` is no larger than that of ``others``, by permutation of labels.

    Values that are not finite are left out; NaN if nothing is left on a side.
    """
    own, others = own[np.isfinite(own)], others[np.isfinite(others)]
    if not (len(own) and len(others)):
        return float("nan")
    together = np.concatenate([own, others])
    drawn = rng.permuted(np.tile(together, (permutations, 1)), axis=1)[:, : len(own)].mean(axis=1)
    # means that are equal except for rounding count as equal
    return float((1 + (drawn >= own.mean() - 1e-12).sum()) / (1 + permutations))


def detectable_above(own: Array, others: Array, alpha: float) -> float:
    """Difference of two means that a one-sided test finds with a power of 80%, by the spread within both."""
    degrees = len(own) + len(others) - 2
    if degrees < 1:
        return float("inf")
    within = ((own - own.mean()) ** 2).sum() + ((others - others.mean()) ** 2).sum()
    error = np.sqrt(within / degrees * (1 / len(own) + 1 / len(others)))
    return float((norm.isf(alpha) + norm.ppf(POWER)) * error)


@dataclass(frozen=True, eq=False)
class Cells:
    """Tests of single tasks under single directions.

    Attributes
    ----------
    p_corrected : array of shape (D, T)
        Two-sided p of the interaction, corrected for all cells (max-T).
    detectable : float
        Size of an interaction, at the median error, that is found in a cell with a power of 80%.
    false_alarms : float
        Share of further permutations of the tasks' labels in which any cell passes: nothing is there to find.
    """

    p_corrected: Array
    detectable: float
    false_alarms: float


def cells(
    items: Sequence[Array], profile: Array, alpha: float, permutations: int, rng: np.random.Generator
) -> Cells:
    """Test the interaction in every cell by permuting the tasks' labels over items.

    Items lose the general loss of their task first. Labels are permuted in all directions alike, and the
    statistic is a residual over its standard error, so that tasks may differ in their spread (studentised:
    Janssen 1997; Chung & Romano 2013).

    Parameters
    ----------
    items : sequence of T arrays of shape (D, n)
        Changes of the items of each task.
    profile : array of shape (T,)
        Changes under other directions, on average.
    alpha : float
        Level.
    permutations : int
        Number of permutations for the p values, and as many again for the false alarms.
    rng : Generator
        Source of the permutations.
    """
    left = remainder(profile)
    sizes = np.array([each.shape[1] for each in items])
    means = np.stack([each.mean(axis=1) for each in items], axis=1)
    general = means - means @ left
    pooled = np.concatenate([each - general[:, [task]] for task, each in enumerate(items)], axis=1)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def statistic(values: Array) -> tuple[Array, Array]:
        mean = np.add.reduceat(values, starts, axis=1) / sizes
        squares = np.add.reduceat(values**2, starts, axis=1) / sizes
        variance = np.clip(squares - mean**2, 0, None) / (sizes - 1)
        error = np.sqrt(variance @ (left**2).T)
        return np.abs(mean @ left) / np.maximum(error, 1e-300), error

    observed, errors = statistic(pooled)
    largest = np.array(
        [statistic(pooled[:, rng.permutation(pooled.shape[1])])[0].max() for _ in range(2 * permutations)]
    )
    null, further = largest[:permutations], largest[permutations:]
    p = (1 + (null[:, None, None] >= observed).sum(axis=0)) / (1 + permutations)
    critical = np.quantile(null, 1 - alpha)
    return Cells(
        p, float((critical + norm.ppf(POWER)) * np.median(errors)), float((further > critical).mean())
    )
