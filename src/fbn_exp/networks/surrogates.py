"""Null models of networks: random masks of the same sizes, shifted and phase-randomised signals, p values."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.moments import CHUNK_VALUES
from fbn_exp.core.rows import Array


class ShuffledMasks:
    """IoU of fixed masks with random masks that have given sizes in every block.

    The neurons of each block are permuted at random, with one permutation for all masks of a set, so that
    random masks also overlap one another as the given masks do.

    Parameters
    ----------
    fixed : Tensor of shape (K, N), bool
        Masks that are not permuted.
    layout : NeuronLayout
        Layout of the neurons in blocks.
    """

    def __init__(self, fixed: Tensor, layout: NeuronLayout) -> None:
        self._fixed = np.ascontiguousarray(fixed.numpy().T, dtype=np.float64)
        self._sizes = self._fixed.sum(axis=0)
        self._blocks = [(block.offset, block.width) for block in layout.blocks]

    def intersection_over_union(self, members: csr_matrix, rng: np.random.Generator) -> Array:
        """IoU (K, L) of the fixed masks with one random permutation of ``sparse`` masks (L, N)."""
        order = np.concatenate([offset + rng.permutation(width) for offset, width in self._blocks])
        moved = csr_matrix((members.data, order[members.indices], members.indptr), shape=members.shape)
        shared = (moved @ self._fixed).T
        union = self._sizes[:, None] + np.diff(members.indptr)[None, :] - shared
        iou: Array = shared / np.maximum(union, 1)
        return iou


def sparse(masks: Tensor) -> csr_matrix:
    """Masks (L, N) as a sparse matrix of ones."""
    return csr_matrix(masks.numpy().astype(np.float64))


def upper_p_value(observed: Array, null: Array) -> Array:
    """One-sided p value: share of null draws (D, …) that reach the observed value (…).

    The observed value counts as a draw, so that p is never 0: (1 + number reached) / (1 + D), see
    Phipson & Smyth (2010).
    """
    reached = (null >= observed - 1e-12).sum(axis=0)
    return (1 + reached) / (1 + len(null))


def swap_p_value(observed: Array, null: Array, draws: int, rng: np.random.Generator) -> Array:
    """One-sided paired permutation test of sums over texts, shape (K,).

    Under the null hypothesis the two values of a text are exchangeable: the sum of differences is compared
    with its distribution under random swaps.

    Parameters
    ----------
    observed, null : array of shape (n, K)
        Value of each text, and its counterpart under the null.
    draws : int
        Number of random swaps of all texts.
    rng : Generator
        Source of the swaps.
    """
    difference = observed - null
    signs = rng.choice([-1.0, 1.0], size=(draws, len(difference)))
    return upper_p_value(difference.sum(axis=0), signs @ difference)


def phase_randomiser(n_tokens: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Make a function that randomises the phases of time courses (T, n), alike in every column.

    Circular cross-correlations at all lags are kept, since the phases of all columns are rotated by the
    same random angles (Prichard & Theiler 1994).
    """
    n_frequencies = n_tokens // 2 + 1
    angle = 2 * math.pi * torch.rand(n_frequencies, generator=generator, dtype=torch.float64)
    factor = torch.polar(torch.ones_like(angle), angle)
    # the mean, and the highest frequency of an even number of tokens, are real
    factor[0] = 1
    if n_tokens % 2 == 0:
        factor[-1] = 1 if angle[-1] < math.pi else -1

    def turn(courses: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(courses.double(), dim=0) * factor.to(courses.device)[:, None]
        return torch.fft.irfft(spectrum, n=n_tokens, dim=0)

    return turn


def random_lags(signals: Tensor, generator: torch.Generator) -> Tensor:
    """Random lag for every column of signals (T, N), uniform over 0 … T − 1."""
    return torch.randint(len(signals), (signals.shape[1],), generator=generator)


@contextmanager
def shifted(signals: Tensor, lags: Tensor) -> Iterator[None]:
    """Shift every column of signals (T, N) circularly by its own lag, in place; undo it on exit, bit for bit.

    Each neuron keeps its values and its spectrum; the dependence between neurons is destroyed.
    """
    _roll(signals, lags)
    try:
        yield
    finally:
        _roll(signals, -lags)


def _roll(signals: Tensor, lags: Tensor) -> None:
    tokens, lags = torch.arange(len(signals), device=signals.device)[:, None], lags.to(signals.device)
    for columns in column_chunks(signals):
        signals[:, columns] = signals[:, columns].gather(0, (tokens - lags[columns]) % len(signals))


def column_chunks(signals: Tensor) -> Iterator[slice]:
    """Yield slices of columns, small enough that no temporary array is as large as the signals."""
    width = max(1, CHUNK_VALUES // len(signals))
    for start in range(0, signals.shape[1], width):
        yield slice(start, start + width)
