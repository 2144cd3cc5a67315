"""The leading principal subspace of large signals, without forming N × N or a full decomposition."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.errors import MethodError
from fbn_exp.statistics import neuron_statistics

OVERSAMPLING = 16
KRYLOV_STEPS = 3
EXACT_BELOW = 512
RANK_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Subspace:
    """A truncated singular value decomposition of centred signals: X − mean ≈ scores · diag(s) · loadings.

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
        Number of singular values above the rounding error of float32.
    """

    scores: Tensor
    singular_values: Tensor
    loadings: Tensor
    total_energy: float
    rank: int

    def whitened(self) -> Tensor:
        """Scores with unit variance over tokens, shape (T, k)."""
        return self.scores * self.scores.shape[0] ** 0.5

    def unwhitened(self, rotation: Tensor) -> Tensor:
        """Maps (k, N) in units of the signal, for the sources ``whitened @ rotation.T``."""
        n_tokens = self.scores.shape[0]
        return (rotation * self.singular_values / n_tokens**0.5).float() @ self.loadings


def leading_subspace(signals: Tensor, n_components: int, generator: torch.Generator) -> Subspace:
    """Leading ``n_components`` singular vectors of the centred signals.

    Small problems are solved exactly. Larger ones by a randomised block Krylov method (Musco & Musco
    2015, algorithm 2): every power block is kept, which finds the subspace, not only its variance.
    Blocks are orthonormalised against all earlier ones, so each product with the signals is used twice,
    for the next block and for the projected matrix. Centring is a rank-one correction of each product:
    the signals are neither copied nor changed.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        In memory or mapped from a file; each of the 2 · (KRYLOV_STEPS + 1) products is one pass.
    n_components : int
        Dimension k of the subspace.
    generator : torch.Generator
        Source of the random start.

    Returns
    -------
    Subspace
        Exact, or with every angle to the exact subspace small.

    Raises
    ------
    MethodError
        If a value is not finite.
    """
    statistics = neuron_statistics(signals)
    if not torch.isfinite(statistics.standard_deviation).all():
        bad = int((~torch.isfinite(statistics.standard_deviation)).nonzero()[0])
        raise MethodError(f"signals hold a value that is not finite, in the column of neuron {bad}")
    n_tokens = signals.shape[0]
    total_energy = float(statistics.standard_deviation.square().sum()) * n_tokens
    block = n_components + OVERSAMPLING
    if min(signals.shape) <= max(EXACT_BELOW, block * (KRYLOV_STEPS + 1)):
        return _exact(signals, statistics.mean, n_components, total_energy)
    basis, projected = _krylov(signals, statistics.mean.float(), block, generator)
    # squaring the condition is harmless in float64: the projected matrix is float32
    gram = projected.double() @ projected.double().T
    return _from_gram(gram, basis, projected, n_components, total_energy)


def _krylov(signals: Tensor, mean: Tensor, block: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Orthonormal basis Q (T, b) of the block Krylov space, and Qᵀ(X − mean) (b, N)."""
    start = torch.randn(signals.shape[1], block, generator=generator)
    basis = _orthonormal(_times(signals, mean, start))
    projected = [_transposed_times(signals, mean, basis)]
    for _ in range(KRYLOV_STEPS):
        direction = torch.linalg.qr(projected[-1].T).Q
        fresh = _times(signals, mean, direction).double()
        for _ in range(2):  # once leaves rounding error in the directions that dominate
            fresh -= basis @ (basis.T @ fresh)
        fresh = _orthonormal(fresh)
        projected.append(_transposed_times(signals, mean, fresh))
        basis = torch.cat([basis, fresh], dim=1)
    return basis, torch.cat(projected)


def _times(signals: Tensor, mean: Tensor, right: Tensor) -> Tensor:
    return signals @ right - mean @ right


def _transposed_times(signals: Tensor, mean: Tensor, left: Tensor) -> Tensor:
    narrow = left.float()
    return narrow.T @ signals - torch.outer(narrow.sum(dim=0), mean)


def _orthonormal(columns: Tensor) -> Tensor:
    return torch.linalg.qr(columns.double()).Q


def _exact(signals: Tensor, mean: Tensor, n_components: int, total_energy: float) -> Subspace:
    centred = signals.double() - mean
    if signals.shape[0] <= signals.shape[1]:
        identity = torch.eye(signals.shape[0], dtype=torch.float64)
        return _from_gram(centred @ centred.T, identity, centred, n_components, total_energy)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    order = values.flip(0).clamp_min(0).sqrt()
    loadings = vectors.flip(1)[:, :n_components].T
    singular = order[:n_components]
    scores = (centred @ loadings.T) / singular.clamp_min(1e-300)
    return Subspace(scores, singular, loadings.float(), total_energy, _rank(order))


def _from_gram(
    gram: Tensor, basis: Tensor, projected: Tensor, n_components: int, total_energy: float
) -> Subspace:
    values, vectors = torch.linalg.eigh(gram)
    order = values.flip(0).clamp_min(0).sqrt()
    singular, left = order[:n_components], vectors.flip(1)[:, :n_components]
    loadings = (left.T.to(projected.dtype) @ projected) / singular[:, None].clamp_min(1e-300).to(
        projected.dtype
    )
    return Subspace(basis @ left, singular, loadings.float(), total_energy, _rank(order))


def _rank(singular_values: Tensor) -> int:
    return int((singular_values > RANK_TOLERANCE * singular_values[0]).sum())
