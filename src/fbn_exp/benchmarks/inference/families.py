"""Correct p values for many tests: Holm, and the largest statistic over draws or over items."""

import numpy as np

from fbn_exp.analysis.max_t import max_t
from fbn_exp.core.rows import Array

# random signs of all items
FLIPS = 9_999


def holm(p_values: Array) -> Array:
    """Correct p values for multiple testing (Holm 1979); NaN stays NaN and does not count as a test."""
    # takes seconds to import
    from statsmodels.stats.multitest import multipletests

    corrected, known = np.full(len(p_values), np.nan), np.isfinite(p_values)
    if known.any():
        corrected[known] = multipletests(p_values[known], method="holm")[1]
    return corrected


def can_pass(smallest_p: float, n_tests: int, alpha: float = 0.05) -> bool:
    """Return True if Holm's correction of so many p values can give one at the level at all."""
    return smallest_p * n_tests <= alpha


def max_t_over_draws(values: Array) -> Array:
    """Two-sided p value of each of many scores among their draws, corrected for their number.

    The largest |z| over all scores of the networks is compared with that of every draw, in the step-down
    procedure of Westfall & Young (1993). z is relative to mean and standard deviation of score and draws.
    Under the null hypothesis the networks of all jobs are together one more draw. Draws of different jobs
    are independent, while effects of overlapping networks are not: then p is larger than it need be.

    Parameters
    ----------
    values : array of shape (1 + R, J)
        Scores of the networks in the first row, of each draw in another; a column with a value that is not
        finite gets NaN.

    Returns
    -------
    array of shape (J,)
        Corrected p values, none below 1 / (1 + R).
    """
    p_values = np.full(values.shape[1], np.nan)
    tested = np.flatnonzero(np.isfinite(values).all(axis=0))
    if len(tested) == 0:
        return p_values
    known = values[:, tested]
    spread = known.std(axis=0)
    # draws that differ by rounding alone do not differ
    same = spread <= 1e-12 * np.abs(known).max(axis=0)
    z = np.where(same, 0.0, np.abs(known - known.mean(axis=0)) / np.where(same, 1.0, spread))
    order = np.argsort(z[0], kind="stable")
    # largest |z| over a column and all with a smaller one
    largest = np.maximum.accumulate(z[:, order], axis=1)
    reached = (largest >= z[0, order] * (1 - 1e-12)).mean(axis=0)
    # a column is never more significant than one with a larger |z|
    p_values[tested[order]] = np.maximum.accumulate(reached[::-1])[::-1]
    return p_values


def max_t_over_items(differences: Array, seed: int = 0, draws: int = FLIPS) -> Array:
    """Two-sided p value that each of many mean paired differences is 0, corrected for their number.

    Parameters
    ----------
    differences : array of shape (n, J)
        Difference of each item in each job; NaN where a job does not score an item. Items of different
        tasks are different rows. The signs of an item change in all jobs together.
    seed : int
        Seed of the random signs.
    draws : int
        Number of random sign flips.
    """
    return max_t(differences, draws, np.random.default_rng(seed)).p_value
