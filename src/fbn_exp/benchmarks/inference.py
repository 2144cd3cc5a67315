"""Differences between two runs over the same items: intervals and p values."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.rows import Array

BOOTSTRAPS = 2_000


# up to this many differing items, all signs are tried; beyond it, FLIPS random ones
EXACT_FLIPS = 13


FLIPS = 9_999


# largest number of items drawn at once
CHUNK = 1_000_000


@dataclass(frozen=True)
class Difference:
    """Score minus baseline, with a 95% interval and the two-sided p value of no difference."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float


def difference(score: Score, baseline: Score, seed: int = 0) -> Difference:
    """Paired difference with a percentile bootstrap over items (Efron & Tibshirani 1993, chapter 13).

    The p value is that of ``sign_flip_p_value``, which is more conservative than the interval where few
    items differ. For a metric without items, both come from a normal distribution with independent standard
    errors, which is conservative for paired runs. A single item, or an item that is not finite, gives NaN.

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
    """Two-sided p value of paired differences, by random sign flips (Fisher 1935).

    For items that are right or wrong this is McNemar's exact test. All signs are tried where at most
    ``EXACT_FLIPS`` items differ; else the observed signs and ``FLIPS`` random ones (Phipson & Smyth 2010).

    Parameters
    ----------
    differences : array of shape (n,)
        Difference of each item; a value that is not finite gives NaN.
    seed : int
        Seed of the random signs.
    """
    changed = differences[differences != 0]
    if not np.isfinite(changed).all():
        return float("nan")
    # sums that are equal except for rounding count as equal
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
    """Contribution of each item to the (weighted) mean; 0 for an item of weight 0."""
    assert score.items is not None
    weights = np.ones(score.n) if score.weights is None else score.weights
    with np.errstate(invalid="ignore"):
        return weights * score.items / weights.sum()


def _resampled(score: Score, baseline: Score, seed: int) -> Array:
    """Differences of the weighted means over items drawn with replacement, the same items for both.

    Weights may differ between the two: an item can be undecided under a lesion, and decided without it.
    Items are drawn in chunks that fit into memory.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for chunk in np.array_split(np.arange(BOOTSTRAPS), max(1, BOOTSTRAPS * score.n // CHUNK)):
        drawn = rng.integers(score.n, size=(len(chunk), score.n))
        differences.append(_means(score, drawn) - _means(baseline, drawn))
    return np.concatenate(differences)


def _means(score: Score, drawn: NDArray[np.int64]) -> Array:
    """Weighted mean of each row of drawn items, NaN where their weights are all 0."""
    assert score.items is not None
    weights = np.ones(score.n) if score.weights is None else score.weights
    with np.errstate(invalid="ignore"):
        return (weights * score.items)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
