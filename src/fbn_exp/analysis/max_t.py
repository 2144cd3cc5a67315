"""Inference on many means over texts at once: max-T by sign flips, and simultaneous intervals."""

from dataclasses import dataclass

import numpy as np

from fbn_exp.core.rows import Array

# draws × means held at once
CHUNK_VALUES = 2**23
# a standard error below it, relative to the values, is rounding
SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class MaxT:
    """Means over texts, tested together; arrays have shape (P,), NaN for a mean of fewer than two texts.

    Attributes
    ----------
    mean : array
        Mean over the texts in which the value is known; NaN if it is known in none.
    low, high : array
        Simultaneous interval: all P means together lie in theirs with the given probability.
    p_value : array
        Two-sided, adjusted: the chance that any true null hypothesis gets one below α is at most α.
    """

    mean: Array
    low: Array
    high: Array
    p_value: Array


def max_t(values: Array, draws: int, rng: np.random.Generator, level: float = 0.95) -> MaxT:
    """Test that each of many means over texts is 0, with control of the family-wise error.

    All values of a text change sign together, so that the dependence between means stays (Winkler, Ridgway,
    Webster, Smith & Nichols 2014, Permutation inference for the general linear model). The largest |t| of
    each draw is compared with the observed ones in the free step-down procedure of Westfall & Young (1993,
    Resampling-based multiple testing, chapter 4); the observed signs count as a draw (Phipson & Smyth 2010).
    Intervals are mean ± c · se, where c is a quantile of the largest |t| of deviations from the mean, with
    flipped signs. They do not step down, so a mean with p just below 0.05 can have an interval around 0.

    Parameters
    ----------
    values : array of shape (n, P)
        Values of n independent texts, symmetric about their mean; NaN where a text has no value.
    draws : int
        Number of random sign flips of all texts.
    rng : Generator
        Source of the signs.
    level : float
        Probability that all intervals hold the true means.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = filled.sum(axis=0) / count
    tested = np.flatnonzero(count > 1)
    low, high, p_value = (np.full(values.shape[1], np.nan) for _ in range(3))
    if len(tested) > 0:
        sample, number = filled[:, tested], count[tested]
        signs = rng.choice([-1.0, 1.0], size=(draws, len(values)))
        p_value[tested] = _step_down(sample, number, signs)
        deviation = np.where(known[:, tested], sample - mean[tested], 0.0)
        largest = _largest(deviation, number, signs)
        half = np.quantile(largest, level, method="higher") * _standard_error(sample, number)
        low[tested], high[tested] = mean[tested] - half, mean[tested] + half
    return MaxT(mean, low, high, p_value)


def _standard_error(sample: Array, count: Array) -> Array:
    """Standard error of the mean of each column, which holds 0 where it has no value."""
    squares = np.square(sample).sum(axis=0)
    variance = (squares - np.square(sample.sum(axis=0)) / count) / (count - 1)
    error: Array = np.sqrt(np.maximum(variance, SMALLEST**2 * squares) / count)
    return error


def _statistics(sample: Array, count: Array, signs: Array) -> Array:
    """|t| of each column of (n, P) under signs (draws, n), shape (draws, P)."""
    sums = signs @ sample
    squares = np.square(sample).sum(axis=0)
    variance = np.maximum((squares - np.square(sums) / count) / (count - 1), SMALLEST**2 * squares)
    # 0 / 0 where all values are 0
    return np.abs(sums) / np.sqrt(np.maximum(count * variance, np.finfo(float).tiny))


def _step_down(sample: Array, count: Array, signs: Array) -> Array:
    """Adjusted p value of each column; the largest |t| is over columns with no larger |t| than its."""
    observed = _statistics(sample, count, np.ones((1, len(sample))))[0]
    order = np.argsort(observed, kind="stable")
    running = np.zeros((len(signs), 1))
    reached = np.empty(len(observed))
    step = max(1, CHUNK_VALUES // len(signs))
    for start in range(0, len(order), step):
        part = order[start : start + step]
        drawn = _statistics(sample[:, part], count[part], signs)
        largest = np.maximum.accumulate(np.concatenate([running, drawn], axis=1), axis=1)[:, 1:]
        reached[part] = (largest >= observed[part] * (1 - SMALLEST)).sum(axis=0)
        running = largest[:, -1:]
    p_value = (1 + reached) / (1 + len(signs))
    # a column is never more significant than one with a larger |t|
    p_value[order] = np.maximum.accumulate(p_value[order][::-1])[::-1]
    return p_value


def _largest(sample: Array, count: Array, signs: Array) -> Array:
    """Largest |t| over all columns, for each draw."""
    largest = np.zeros(len(signs))
    step = max(1, CHUNK_VALUES // len(signs))
    for start in range(0, sample.shape[1], step):
        part = slice(start, start + step)
        np.maximum(largest, _statistics(sample[:, part], count[part], signs).max(axis=1), out=largest)
    return largest
