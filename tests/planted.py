"""Signals whose networks are known, and how often random masks match."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import hypergeom
from torch import Tensor


def plant(
    n_tokens: int, n_neurons: int, n_networks: int, noise: float, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Unit-variance Laplacian sources, mixed by standard normal maps (K, N), plus white noise."""
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(n_tokens, n_networks)) / np.sqrt(2)
    maps = rng.standard_normal((n_networks, n_neurons))
    signals = sources @ maps + noise * rng.standard_normal((n_tokens, n_neurons))
    return torch.from_numpy(signals).float(), torch.from_numpy(maps).float()


def matched_correlation(found: Tensor, planted: Tensor) -> Tensor:
    """|r| of each planted map with the found one that the best one-to-one matching gives it."""
    n_planted = len(planted)
    table = np.abs(np.corrcoef(planted.double().numpy(), found.double().numpy())[:n_planted, n_planted:])
    return torch.from_numpy(table[linear_sum_assignment(table, maximize=True)])


def plant_maps(
    n_tokens: int, n_neurons: int, n_networks: int, noise: float, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Sparse maps (K, N), independent over neurons, with correlated Gaussian sources, plus white noise.

    Maps differ in norm, by a factor of 2 at most.
    """
    rng = np.random.default_rng(seed)
    maps = rng.laplace(size=(n_networks, n_neurons)) * (rng.uniform(size=(n_networks, n_neurons)) < 0.1)
    maps *= np.linspace(2, 1, n_networks)[:, None]
    shared = rng.standard_normal((n_tokens, 1))
    sources = 0.8 * rng.standard_normal((n_tokens, n_networks)) + 0.6 * shared
    signals = sources @ maps + noise * rng.standard_normal((n_tokens, n_neurons))
    return torch.from_numpy(signals).float(), torch.from_numpy(maps).float()


def chance_of_match(
    sizes: Sequence[int], other_sizes: Sequence[int], widths: Sequence[int], minimum_iou: float
) -> float:
    """Probability that two independent random masks have an IoU above ``minimum_iou``.

    Each mask is drawn uniformly among those with its number of neurons in each block, so the overlap in a
    block is hypergeometric and blocks are independent. Masks without regard to blocks are the case of a
    single block.

    Parameters
    ----------
    sizes, other_sizes : sequence of int
        Neurons of the two masks in each block.
    widths : sequence of int
        Neurons of each block.
    minimum_iou : float
        Threshold that the IoU exceeds.
    """
    overlap = np.ones(1)
    for size, other, width in zip(sizes, other_sizes, widths, strict=True):
        overlap = np.convolve(overlap, hypergeom.pmf(np.arange(min(size, other) + 1), width, size, other))
    shared = np.arange(len(overlap))
    union = sum(sizes) + sum(other_sizes) - shared
    return float(overlap[shared / np.maximum(union, 1) > minimum_iou].sum())
