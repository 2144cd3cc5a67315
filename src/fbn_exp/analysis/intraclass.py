"""Intraclass correlation of networks' strengths over the halves of texts, with intervals and a control."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fbn_exp.core.rows import Array, Indices


@dataclass(frozen=True, eq=False)
class IntraclassCorrelation:
    """Two of the coefficients of Shrout & Fleiss (1979); NaN where values do not vary.

    Attributes
    ----------
    agreement : array
        ICC(2,1): measurements are a random sample, a shift between them counts as error.
    consistency : array
        ICC(3,1): measurements are fixed, a shift common to all targets does not count.
    """

    agreement: Array
    consistency: Array


def intraclass_correlation(values: Array) -> IntraclassCorrelation:
    """Intraclass correlation of single measurements (Shrout & Fleiss 1979).

    Parameters
    ----------
    values : array of shape (..., n, k)
        k measurements of each of n targets; the coefficients have the leading shape.
    """
    n, k = values.shape[-2:]
    deviation = values - values.mean(axis=(-2, -1), keepdims=True)
    targets, judges = (deviation.mean(axis=axis, keepdims=True) for axis in (-1, -2))
    between = k * np.square(targets).sum(axis=(-2, -1)) / (n - 1)
    shift = n * np.square(judges).sum(axis=(-2, -1)) / (k - 1)
    error = np.square(deviation - targets - judges).sum(axis=(-2, -1)) / ((n - 1) * (k - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = (between - error) / (between + (k - 1) * error + k * (shift - error) / n)
        consistency = (between - error) / (between + (k - 1) * error)
    return IntraclassCorrelation(np.asarray(agreement), np.asarray(consistency))


@dataclass(frozen=True)
class Mean:
    """Mean over networks, with its 95% percentile interval over resampled texts."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Strengths:
    """Agreement of networks' strengths in the halves of texts; arrays have shape (K,).

    The strength is the mean weight of a network's members in the half's map, in units of the signal for a
    unit-variance time course.

    Attributes
    ----------
    icc, icc_agreement : array
        ICC(3,1) and ICC(2,1) over texts of the strengths in the first and second half.
    icc_low, icc_high : array
        95% percentile interval of ICC(3,1) over resampled texts.
    icc_content : array
        ICC(3,1) of strengths in first halves and in second halves of other texts with like content.
    mean, mean_content : Mean
        Means of ``icc`` and ``icc_content`` over networks.
    """

    icc: Array
    icc_low: Array
    icc_high: Array
    icc_agreement: Array
    icc_content: Array
    mean: Mean
    mean_content: Mean


def strengths(values: Array, alike: Indices, rng: np.random.Generator, draws: int) -> Strengths:
    """Measure the agreement of strengths over the halves of texts.

    Parameters
    ----------
    values : array of shape (K, n, 2)
        Strength of each network in both halves of n texts.
    alike : array of shape (n,)
        For each text another one with like content.
    rng : Generator
        Source of resampled texts.
    draws : int
        Number of resamples.
    """
    n_texts = values.shape[1]
    icc = intraclass_correlation(values)
    across = np.stack([values[:, :, 0], values[:, alike, 1]], axis=-1)
    of_content = intraclass_correlation(across).consistency
    drawn = rng.integers(n_texts, size=(draws, n_texts))
    resampled, resampled_content = (
        np.stack([intraclass_correlation(network[drawn]).consistency for network in paired])
        for paired in (values, across)
    )
    low, high = _percentiles(resampled)
    return Strengths(
        icc.consistency,
        low,
        high,
        icc.agreement,
        of_content,
        _mean(icc.consistency, resampled),
        _mean(of_content, resampled_content),
    )


def _mean(values: Array, resampled: Array) -> Mean:
    low, high = _percentiles(_known_mean(resampled))
    return Mean(float(_known_mean(values)), float(low), float(high))


def _known_mean(values: Array) -> Any:
    """Mean over networks (K, ...) that have a value; NaN without any."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)


def _percentiles(values: Array) -> tuple[Any, Any]:
    """Ends of the 95% interval over the last axis; NaN where a value is NaN throughout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(values, [2.5, 97.5], axis=-1)
    return low, high
