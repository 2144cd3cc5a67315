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
from fbn_exp.core.rows import Array, Rows


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
        return sparse_overlap(self._fixed, self._sizes, moved)


def sparse(masks: Tensor) -> csr_matrix:
    """Masks (L, N) as a sparse matrix of ones."""
    return csr_matrix(masks.numpy().astype(np.float64))


def sparse_overlap(fixed: Array, sizes: Array, members: csr_matrix) -> Array:
    """IoU (K, L) of masks as columns of ones (N, K), of given sizes (K,), with sparse masks (L, N)."""
    shared = (members @ fixed).T
    union = sizes[:, None] + np.diff(members.indptr)[None, :] - shared
    iou: Array = shared / np.maximum(union, 1)
    return iou


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


def phase_randomiser(rows: Rows, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Make a function that randomises phases of time courses (T, n) inside each text, alike in every column.

    The phases of all columns of a text are rotated by the same random angles (Prichard & Theiler 1994), those
    of another text by others. In every text this keeps mean, covariance and circular cross-covariances at all
    lags, and makes the rest Gaussian; no token moves to another text. The map is linear and orthogonal over
    tokens, and keeps constants: it commutes with any projection over neurons.
    """
    batches = [
        (where, _phase_factor(where.shape[0], where.shape[1], generator)) for where in _texts_by_length(rows)
    ]

    def turn(courses: Tensor) -> Tensor:
        turned = torch.empty_like(courses, dtype=torch.float64)
        for where, factor in batches:
            inside = where.to(courses.device)
            spectrum = torch.fft.rfft(courses[inside].double(), dim=1)
            spectrum *= factor.to(courses.device)[:, :, None]
            turned[inside] = torch.fft.irfft(spectrum, n=where.shape[1], dim=1)
        return turned

    return turn


def _texts_by_length(rows: Rows) -> list[Tensor]:
    """Row indices (texts, length) of the texts of each length, which are transformed together."""
    starts: dict[int, list[int]] = {}
    for text in rows.slices:
        starts.setdefault(text.stop - text.start, []).append(text.start)
    return [torch.tensor(first)[:, None] + torch.arange(length)[None, :] for length, first in starts.items()]


def _phase_factor(n_texts: int, n_tokens: int, generator: torch.Generator) -> Tensor:
    """Unit complex numbers (texts, frequencies) with random phases."""
    angle = 2 * math.pi * torch.rand(n_texts, n_tokens // 2 + 1, generator=generator, dtype=torch.float64)
    factor = torch.polar(torch.ones_like(angle), angle)
    # the mean, and the highest frequency of an even number of tokens, are real
    if n_tokens % 2 == 0:
        factor[:, -1] = torch.where(angle[:, -1] < math.pi, 1.0, -1.0).to(factor.dtype)
    factor[:, 0] = 1
    return factor


def random_lags(signals: Tensor, generator: torch.Generator, rows: Rows | None = None) -> Tensor:
    """Random lags of the columns of signals (T, N), uniform over the tokens of a text.

    Parameters
    ----------
    signals : Tensor of shape (T, N)
        Signals to shift.
    generator : Generator
        Source of the lags.
    rows : Rows, optional
        Text of each token; None takes all tokens as one text.

    Returns
    -------
    Tensor of shape (texts, N), int64, or (N,) without ``rows``
        A lag for every column, in every text that has tokens.
    """
    n_neurons = signals.shape[1]
    if rows is None:
        return torch.randint(len(signals), (n_neurons,), generator=generator)
    return torch.stack(
        [torch.randint(text.stop - text.start, (n_neurons,), generator=generator) for text in rows.slices]
    )


@contextmanager
def shifted(signals: Tensor, lags: Tensor, rows: Rows | None = None) -> Iterator[None]:
    """Shift every column of signals (T, N) circularly by its own lag, in place; undo it on exit, bit for bit.

    Each neuron keeps its values and its spectrum; the dependence between neurons is destroyed. With ``rows``
    each text is shifted by itself, by its own row of ``lags``: each neuron keeps its values in every text.
    """
    whole = Rows((len(signals),)) if rows is None else rows
    lags = lags.reshape(len(whole.slices), -1)
    _roll(signals, lags, whole)
    try:
        yield
    finally:
        _roll(signals, -lags, whole)


def _roll(signals: Tensor, lags: Tensor, rows: Rows) -> None:
    for text, own in zip(rows.slices, lags.to(signals.device), strict=True):
        part = signals[text]
        tokens = torch.arange(len(part), device=signals.device)[:, None]
        for columns in column_chunks(part):
            part[:, columns] = part[:, columns].gather(0, (tokens - own[columns]) % len(part))


def column_chunks(signals: Tensor) -> Iterator[slice]:
    """Yield slices of columns, small enough that no temporary array is as large as the signals."""
    width = max(1, CHUNK_VALUES // len(signals))
    for start in range(0, signals.shape[1], width):
        yield slice(start, start + width)
