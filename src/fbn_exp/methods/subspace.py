"""The leading principal subspace of large signals, without an N × N matrix or a full decomposition."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.moments import Moments, moments, neuron_statistics, row_chunks
from fbn_exp.methods.solvers.krylov import KrylovSpace, descending, krylov_subspace

EXACT_BELOW = 512
# relative to the Frobenius norm of the signals, their mean included: below is float32 rounding error
RANK_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Subspace:
    """A truncated singular value decomposition of centred signals: X − mean ≈ scores · diag(s) · loadings.

    Tensors are on the device of the signals. Without centring, ``mean`` is 0.

    Attributes
    ----------
    scores : Tensor of shape (T, k), float64
        Left singular vectors.
    singular_values : Tensor of shape (k,), float64
        In decreasing order.
    loadings : Tensor of shape (k, N), float32
        Right singular vectors.
    total_energy : float
        Squared Frobenius norm of the centred signals.
    rank : int
        Number of singular values above the rounding error of float32, among those that were computed:
        at least k if the rank is k or more.
    """

    scores: Tensor
    singular_values: Tensor
    loadings: Tensor
    total_energy: float
    rank: int

    def leading(self, n_components: int) -> "Subspace":
        """Keep the leading dimensions only, as copies."""
        return replace(
            self,
            scores=self.scores[:, :n_components].clone(),
            singular_values=self.singular_values[:n_components].clone(),
            loadings=self.loadings[:n_components].clone(),
        )

    def whitened(self) -> Tensor:
        """Scores with unit variance over tokens, shape (T, k)."""
        return self.scores * self.scores.shape[0] ** 0.5

    def mixing(self, rotation: Tensor) -> Tensor:
        """Mixing matrix (k, k) of the sources ``whitened @ rotation.T``: maps are ``mixing @ loadings``."""
        return rotation.to(self.singular_values.device) * self.singular_values / self.scores.shape[0] ** 0.5


def leading_subspace(
    signals: Tensor, n_components: int, generator: torch.Generator, centre: bool = True
) -> Subspace:
    """Compute the leading ``n_components`` singular vectors of the centred signals.

    Small problems are solved exactly, in float64. Larger ones are solved by a randomised block Krylov method
    (Musco & Musco 2015, algorithm 2, on the side of the neurons): all power blocks are kept, which
    approximates the subspace, not only its variance. The space is wider than the subspace, a single block
    need not be (Meyer, Musco & Musco 2024, On the unreasonable effectiveness of single vector Krylov methods
    for low-rank approximation). The first block comes from a sample of the tokens. Blocks are orthonormalised
    against all earlier ones, so that every product with the signals is used twice, for the next block and for
    the projected matrix. Blocks are added until the angles between the subspaces of the last ones tell that
    the scores are exact to a cosine of .999. The products are centred, not the signals, which are neither
    copied nor changed.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        In memory, on an accelerator, or mapped from a file. Every product is one pass over them.
    n_components : int
        Dimension k of the subspace.
    generator : torch.Generator
        Source of the random start.
    centre : bool
        Subtract the mean over tokens; False for rows that are not samples of one distribution.

    Returns
    -------
    Subspace
        Exact, or with small principal angles to the exact subspace.

    Raises
    ------
    MethodError
        If a value is not finite, or all are too large or too small for float32.
    """
    statistics = moments(signals)
    if not math.isfinite(statistics.energy):
        refuse_not_finite(signals)
    mean = statistics.mean if centre else torch.zeros_like(statistics.mean)
    if min(signals.shape) <= max(EXACT_BELOW, KrylovSpace.of(n_components).width):
        values, scores, loadings = _exact(signals, mean.to(signals.device), n_components)
    else:
        offset = mean.float().to(signals.device)
        values, scores, loadings = krylov_subspace(signals, offset, n_components, generator, centre)
    return _subspace(values, scores, loadings, statistics, n_components, centre)


def refuse_not_finite(signals: Tensor) -> NoReturn:
    """Raise a MethodError that names the first neuron whose energy is not finite."""
    spread = neuron_statistics(signals).standard_deviation
    suspects = (~torch.isfinite(spread)).nonzero()[:, 0].tolist()
    bad = next((neuron for neuron in suspects if not signals[:, neuron].isfinite().all()), None)
    if bad is None:
        raise MethodError("signals are too large: their squares overflow float32, scale them down")
    raise MethodError(f"signals hold a value that is not finite, in the column of neuron {bad}")


def _exact(signals: Tensor, mean: Tensor, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Same as ``krylov_subspace``, exactly, from the Gram matrix of their shorter side."""
    means = mean.expand_as(signals)
    wide = signals.shape[0] <= signals.shape[1]
    tall, offset = (signals.T, means.T) if wide else (signals, means)
    values, short = descending(_gram(_centred(tall, offset)), n_components)
    long = torch.cat([chunk @ short for chunk in _centred(tall, offset)])
    long /= values[:n_components].clamp_min(1e-300)
    left, right = (short, long) if wide else (long, short)
    return values, left, right.T.float()


def _centred(tall: Tensor, offset: Tensor) -> Iterator[Tensor]:
    for values, means in zip(row_chunks(tall), row_chunks(offset), strict=True):
        yield values.double() - means


def _gram(chunks: Iterable[Tensor]) -> Tensor:
    products = (chunk.T @ chunk for chunk in chunks)
    total = next(products)
    for product in products:
        total += product
    return total


def _subspace(
    values: Tensor,
    scores: Tensor,
    loadings: Tensor,
    statistics: Moments,
    n_components: int,
    centre: bool,
) -> Subspace:
    raw_energy = statistics.energy + scores.shape[0] * float(statistics.mean.square().sum())
    if values.any() and raw_energy < scores.shape[0] * loadings.shape[1] * torch.finfo(torch.float32).tiny:
        raise MethodError("signals are too small: their squares vanish in float32, scale them up")
    rank = int((values > RANK_TOLERANCE * raw_energy**0.5).sum())
    energy = statistics.energy if centre else raw_energy
    return Subspace(scores, values[:n_components], loadings, energy, rank)
