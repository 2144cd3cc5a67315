"""Differences between two runs over the same items: intervals and p values."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fbn_exp.benchmarks.score import Array, Score
from fbn_exp.core.errors import BenchmarkError

BOOTSTRAPS = 2_000


# so many items with a difference have all signs tried, more of them FLIPS random ones
EXACT_FLIPS = 13


FLIPS = 9_999


# items drawn at a time
CHUNK = 1_000_000


@dataclass(frozen=True)
class Difference:
    """A score minus its baseline, with a 95% interval and the p value of no difference (two-sided)."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float


def difference(score: Score, baseline: Score, seed: int = 0) -> Difference:
    """Paired difference with a percentile bootstrap over items (Efron & Tibshirani 1993, chapter 13).

    The p value is that of ``sign_flip_p_value``; where few items differ it is the more cautious of the two.
    A metric without items gets both from a normal distribution with the two standard errors as if they
    were independent, which is too wide for paired runs. A single item, or one that is not finite, gives
    NaN.

    Raises
    ------
    BenchmarkError
        If the two are not over the same items.
    """
    value = score.value - baseline.value
    if score.name != baseline.name or score.n != baseline.n:
        raise BenchmarkError(
            f"{score.name} over {score.n} items cannot be paired with {baseline.name} over {baseline.n}"
        )
    if score.items is None or baseline.items is None:
        error = float(np.hypot(score.standard_error, baseline.standard_error))
        half = 1.96 * error
        p_value = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else float(value == 0)
        return Difference(value, value - half, value + half, p_value)
    if score.n < 2 or not (np.isfinite(score.items) & np.isfinite(baseline.items)).all():
        return Difference(value, float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(_resampled(score, baseline, seed), [0.025, 0.975])
    p_value = sign_flip_p_value(_contributions(score) - _contributions(baseline), seed)
    return Difference(value, float(low), float(high), p_value)


def sign_flip_p_value(differences: Array, seed: int = 0) -> float:
    """Two-sided p value of paired differences whose sign is as likely one as the other (Fisher 1935).

    Of items that are right or wrong it is McNemar's exact test. All signs are tried where at most
    ``EXACT_FLIPS`` items differ; else the observed signs and ``FLIPS`` random ones (Phipson & Smyth 2010).

    Parameters
    ----------
    differences : array of shape (n,)
        Of each item; one that is not finite gives NaN.
    seed : int
        Of the random signs.
    """
    changed = differences[differences != 0]
    if not np.isfinite(changed).all():
        return float("nan")
    # what rounding makes of an equal sum is an equal sum
    observed = np.abs(changed.sum()) - 1e-9 * np.abs(changed).sum()
    if len(changed) <= EXACT_FLIPS:
        signs = np.array(list(itertools.product((1, -1), repeat=len(changed))))
        return float((np.abs(signs @ changed) >= observed).mean())
    rng = np.random.default_rng(seed)
    as_far = 1
    for chunk in np.array_split(np.arange(FLIPS), max(1, FLIPS * len(changed) // CHUNK)):
        signs = rng.choice(np.array([1, -1], dtype=np.int8), size=(len(chunk), len(changed)))
        as_far += int((np.abs(signs @ changed) >= observed).sum())
    return as_far / (FLIPS + 1)


def _contributions(score: Score) -> Array:
    """What each item adds to the (weighted) mean; an item that has no weight adds nothing."""
    assert score.items is not None
    weights = np.ones(score.n) if score.weights is None else score.weights
    with np.errstate(invalid="ignore"):
        return weights * score.items / weights.sum()


def _resampled(score: Score, baseline: Score, seed: int) -> Array:
    """Differences of the weighted means over items drawn with replacement, the same items for both.

    Each side has its own weights: an item can be undecided under a lesion, and decided without. Drawn in
    chunks that fit into memory.
    """
    rng = np.random.default_rng(seed)
    found = []
    for chunk in np.array_split(np.arange(BOOTSTRAPS), max(1, BOOTSTRAPS * score.n // CHUNK)):
        drawn = rng.integers(score.n, size=(len(chunk), score.n))
        found.append(_means(score, drawn) - _means(baseline, drawn))
    return np.concatenate(found)


def _means(score: Score, drawn: NDArray[np.int64]) -> Array:
    """Weighted mean of each row of drawn items, NaN where their weights are all 0."""
    assert score.items is not None
    weights = np.ones(score.n) if score.weights is None else score.weights
    with np.errstate(invalid="ignore"):
        return (weights * score.items)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
