"""Exact inference on paired items that are right or wrong: only the items that differ tell of a change."""

from functools import lru_cache

import numpy as np
from scipy.stats import binom, norm

from fbn_exp.core.rows import Array, Indices

ALPHA = 0.05
POWER = 0.80
# halvings of an interval of length 1 or 2 until nothing changes
HALVINGS = 50


def mcnemar_p_value(gained: int, lost: int) -> float:
    """Two-sided exact p value of no change (McNemar 1947, in its binomial form); 1 if no item differs."""
    return float(min(1.0, 2 * binom.cdf(min(gained, lost), gained + lost, 0.5)))


def score_interval(gained: int, lost: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a paired difference of proportions (Tango 1998, Statistics in Medicine 17:891).

    It inverts the score test, keeps its level where few items differ, and has a width where none does:
    ± z² / (n + z²), near the rule of three. It can exclude 0 where the exact test just does not reject.

    Parameters
    ----------
    gained, lost : int
        Number of items that became right, and wrong.
    n : int
        Number of items.
    level : float
        Probability that the interval holds the true difference.
    """
    z_squared = float(norm.ppf((1 + level) / 2)) ** 2

    def outside(delta: float) -> bool:
        linear = (2 * n - gained + lost) * delta - gained - lost
        constant = -lost * delta * (1 - delta)
        # share of lost items that is most likely if the true difference is delta
        lost_share = (np.sqrt(max(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
        variance = n * (2 * lost_share + delta * (1 - delta))
        return (gained - lost - n * delta) ** 2 > z_squared * max(variance, 0.0)

    def end(limit: float) -> float:
        inside = (gained - lost) / n
        for _ in range(HALVINGS):
            middle = (inside + limit) / 2
            inside, limit = (inside, middle) if outside(middle) else (middle, limit)
        return inside

    return end(-1.0), end(1.0)


def mcnemar_power(shift: float, churn: float, n: int, alpha: float = ALPHA) -> float:
    """Power of the exact test to find a change of the share of right items.

    Parameters
    ----------
    shift : float
        True change, above 0.
    churn : float
        Share of further items that differ, half of them each way: they would without any effect.
    n : int
        Number of items.
    alpha : float
        Level of the two-sided test.
    """
    share = min(shift + churn, 1.0)
    # numbers of differing items that can occur
    low, high = binom.ppf([1e-9, 1 - 1e-9], n, share)
    differing: Indices = np.arange(int(low), int(high) + 1)
    needed = _needed(n, alpha)[differing]
    one_way = (share + shift) / (2 * share)
    rejected = binom.sf(needed - 1, differing, one_way) + binom.cdf(differing - needed, differing, one_way)
    return float((binom.pmf(differing, n, share) * rejected).sum())


@lru_cache(maxsize=4096)
def mcnemar_detectable(churn: float, n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Smallest change of the share of right items that the exact test finds with the given power.

    Infinite where n items cannot reach the level: 5 or fewer cannot reach .05.
    """
    if mcnemar_power(1.0, churn, n, alpha) < power:
        return float("inf")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS // 2):
        middle = (low + high) / 2
        low, high = (middle, high) if mcnemar_power(middle, churn, n, alpha) < power else (low, middle)
    return high


@lru_cache(maxsize=64)
def _needed(n: int, alpha: float) -> Array:
    """Items that must differ in the same direction to reject, by the number that differ, shape (n + 1,)."""
    needed: Array = binom.isf(alpha / 2, np.arange(n + 1), 0.5) + 1
    return needed
