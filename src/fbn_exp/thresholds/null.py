"""Empirical null of a map: normal within each block, with that block's own location and scale."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout

Array = NDArray[np.float64]

# blocks with fewer neurons share one null: their median absolute deviation is biased and uncertain
SMALLEST_BLOCK = 50
# normal consistency of the median absolute deviation, and n times the variance of its logarithm there
NORMAL_MAD, LOG_VARIANCE = 1.482602, 1.3607
# a t distribution with fewer degrees of freedom than these has no variance to speak of
FEWEST_DEGREES = 2.0
# weights that are worked on at once, so that many maps of a large model fit in memory
AT_ONCE = 2**22
# numbers that a map takes at least, in the bins of a mixture
LEAST = 2**12


def null_scores(maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
    """Scores of weights that are standard normal for neurons outside the network.

    Since most neurons are not members, the bulk of the weights is the null (Efron 2004, JASA 99:96). Weights
    differ in scale from block to block, so each block has its own median and scaled median absolute deviation
    (MAD). The logarithms of the MADs are shrunk to their mean over blocks, as far as they differ by no more
    than their standard errors (empirical Bayes; DerSimonian & Laird 1986): blocks of equal scale share one
    estimate. What stays uncertain about a scale makes the null a t distribution; its quantiles are turned
    into those of a normal (Wallace 1959).

    Blocks of fewer than 50 neurons share one null. Weights of exactly 0, as of dead neurons, do not count for
    location and scale, unless they are half of a block or more: its MAD is then 0, and the mean of the other
    blocks takes its place. If no block has a spread, as in a sparse map, every weight other than the median
    scores infinity.

    Parameters
    ----------
    maps : Tensor of shape (K, N)
        Weights.
    layout : NeuronLayout, optional
        Blocks of the neurons; without it, all are one block.

    Returns
    -------
    Tensor of shape (K, N), float64
        Scores; a weight at the median of its block has 0.
    """
    groups = _groups(maps.shape[1], layout)
    return by_rows(lambda rows: _scores(rows.double().numpy(), groups), maps)


def by_rows(rule: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """Apply a rule that treats every row alike to a few rows of (K, N) at a time."""
    return torch.cat([rule(rows) for rows in maps.split(max(1, AT_ONCE // max(maps.shape[1], LEAST)))])


def _groups(n_neurons: int, layout: NeuronLayout | None) -> list[NDArray[np.int64]]:
    """Columns that share a null."""
    columns = np.arange(n_neurons)
    if layout is None:
        return [columns]
    blocks = [columns[block.columns] for block in layout.blocks]
    small = [block for block in blocks if len(block) < SMALLEST_BLOCK]
    large = [block for block in blocks if len(block) >= SMALLEST_BLOCK]
    return [*large, np.concatenate(small)] if small else large


def _scores(weights: Array, groups: list[NDArray[np.int64]]) -> Tensor:
    bulks = [_bulk(weights[:, columns]) for columns in groups]
    median, spread, count = (np.stack(values, axis=1) for values in zip(*bulks, strict=True))
    scale, degrees = _shrunk(spread, count)
    scores = np.empty_like(weights)
    for place, columns in enumerate(groups):
        centred = weights[:, columns] - median[:, place, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            # a weight at the median has score 0, also where the scale is 0
            t = np.where(centred == 0, 0.0, centred / scale[:, place, None])
        scores[:, columns] = _as_normal(t, degrees[:, place, None])
    return torch.from_numpy(scores)


def _bulk(weights: Array) -> tuple[Array, Array, Array]:
    """Median, scaled MAD and number of the weights (K, n) that count, each of shape (K,)."""
    zero = weights == 0
    few = zero.mean(axis=1, keepdims=True) < 0.5
    values = np.where(zero & few, np.nan, weights)
    count = weights.shape[1] - np.isnan(values).sum(axis=1)
    median = _median(values, count)
    spread = NORMAL_MAD * _median(np.abs(values - median[:, None]), count) * few[:, 0]
    return median, spread, count.astype(np.float64)


def _median(values: Array, count: NDArray[np.int64]) -> Array:
    """Median of the numbers in each row (K, n), of which ``count`` are not NaN; numpy's takes far longer."""
    ordered = np.sort(values, axis=1)  # NaN come last
    middle = np.stack([(count - 1) // 2, count // 2], axis=1)
    mean: Array = np.take_along_axis(ordered, middle, axis=1).mean(axis=1)
    return mean


def _shrunk(spread: Array, count: Array) -> tuple[Array, Array]:
    """Scale of each block (K, B), and degrees of freedom that say how certain it is."""
    known = spread > 0
    y = np.log(np.where(known, spread, 1.0))
    precision = np.where(known, count / LOG_VARIANCE, 0.0)
    between = _variance_between(y, precision, known.sum(axis=1))[:, None]
    weight = np.where(known, 1 / (between + LOG_VARIANCE / count), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    mean = (weight * y).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
    # share of a block's own estimate
    own = between * weight
    scale = np.where(total > 0, np.exp(own * y + (1 - own) * mean), 0.0)
    variance = (1 - own) * between + (1 - own) ** 2 / np.where(total > 0, total, np.inf)
    with np.errstate(divide="ignore"):
        # a variance of log scale that chi / sqrt(degrees) has too
        degrees = np.maximum(0.5 / variance, FEWEST_DEGREES)
    return scale, degrees


def _variance_between(y: Array, precision: Array, blocks: NDArray[np.int64]) -> Array:
    """Variance between blocks of the true values behind estimates (K, B), by their precision; shape (K,)."""
    total = precision.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    mean = (precision * y).sum(axis=1) / safe
    excess = (precision * (y - mean[:, None]) ** 2).sum(axis=1) - (blocks - 1)
    scaling = total - (precision**2).sum(axis=1) / safe
    return np.where(blocks > 1, np.maximum(excess, 0.0) / np.where(scaling > 0, scaling, 1.0), 0.0)


def _as_normal(t: Array, degrees: Array) -> Array:
    """Turn quantiles of t distributions into those of a normal: Wallace (1959), corrected for few degrees."""
    finite = np.where(np.isinf(degrees), 1.0, degrees)
    with np.errstate(over="ignore"):
        size = np.sqrt(finite * np.log1p(t**2 / finite)) * (8 * finite + 1) / (8 * finite + 3)
    return np.where(np.isinf(degrees), t, np.copysign(size, t))
