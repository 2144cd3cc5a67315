"""FastICA: the paper's decomposition of signals into networks, and its spatial counterpart."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.methods.base import Convergence, SubspaceDecomposition
from fbn_exp.methods.config import Contrast, FastICAConfig, Independence
from fbn_exp.methods.spatial import NeuronWhitening
from fbn_exp.methods.subspace import Subspace

# E G(ν) of a standard normal ν, the value of a Gaussian source
GAUSSIAN_EXPECTATION = {Contrast.logcosh: 0.37456720749, Contrast.exp: -1 / math.sqrt(2), Contrast.cube: 0.75}
# smallest change that single precision resolves; iterations below it run in double precision
COARSE_TOLERANCE = 1e-5
# smallest ratio of eigenvalues of W Wᵀ for which its inverse square root is accurate enough
CONDITION = 1e-10


def _logcosh(y: Tensor) -> tuple[Tensor, Tensor]:
    g = torch.tanh(y)
    return g, 1 - g.square().mean(dim=1)


def _exp(y: Tensor) -> tuple[Tensor, Tensor]:
    squared = y.square()
    bell = torch.exp(-squared / 2)
    return y * bell, ((1 - squared) * bell).mean(dim=1)


def _cube(y: Tensor) -> tuple[Tensor, Tensor]:
    return y.pow(3), 3 * y.square().mean(dim=1)


# y (K, T) -> g(y) and the mean over tokens of g'(y), where g is the contrast's derivative
DERIVATIVES: dict[Contrast, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    Contrast.logcosh: _logcosh,
    Contrast.exp: _exp,
    Contrast.cube: _cube,
}


def negentropy(sources: Tensor, contrast: Contrast) -> Tensor:
    """Approximate negentropy [E G(y) − E G(ν)]² of unit-variance sources (Hyvärinen & Oja 2000, eq. 25).

    Parameters
    ----------
    sources : Tensor of shape (K, T)
        Zero mean and unit variance over tokens.
    contrast : Contrast
        The function G.

    Returns
    -------
    Tensor of shape (K,)
        Zero for a Gaussian source; comparable only under one contrast.
    """
    if contrast is Contrast.logcosh:
        magnitude = sources.abs()
        g = magnitude + torch.log1p(torch.exp(-2 * magnitude)) - math.log(2)
    elif contrast is Contrast.exp:
        g = -torch.exp(-sources.square() / 2)
    else:
        g = sources.pow(4) / 4
    return (g.mean(dim=1) - GAUSSIAN_EXPECTATION[contrast]).square()


def symmetric_decorrelation(weights: Tensor) -> Tensor:
    """(W Wᵀ)^(-1/2) W: the nearest matrix with orthonormal rows, accurate also if W is nearly singular."""
    # K × K: on an accelerator the eigenvectors of so small a matrix take longer than the copy to the CPU
    exact = weights.double().cpu()
    values, vectors = torch.linalg.eigh(exact @ exact.T)
    if values[0] > CONDITION * values[-1]:
        orthonormal = (vectors / values.sqrt()) @ vectors.T @ exact
    else:
        # rows are nearly parallel: in W Wᵀ the smallest singular values, squared, are rounding error
        left, _, right = torch.linalg.svd(exact)
        orthonormal = left @ right
    return orthonormal.to(weights)


@dataclass(frozen=True, eq=False)
class Rotation:
    """Result of the fixed-point iteration.

    Attributes
    ----------
    weights : Tensor of shape (K, K), float64
        Orthogonal; row k is the direction of source k in whitened signals.
    n_iterations : int
        Number of iterations.
    change : float
        Largest 1 − |cosine| between the rows of the last two iterates.
    """

    weights: Tensor
    n_iterations: int
    change: float


def fixed_point(
    whitened: Tensor, start: Tensor, contrast: Contrast, tolerance: float, max_iterations: int
) -> Rotation:
    """Run symmetric FastICA iterations (Hyvärinen & Oja 2000, section 6.2).

    Parameters
    ----------
    whitened : Tensor of shape (K, T)
        Decorrelated, unit variance over tokens.
    start : Tensor of shape (K, K)
        Initial weights; decorrelated before use.
    contrast, tolerance, max_iterations
        As in ``FastICA``.

    Returns
    -------
    Rotation
        Converged if its ``change`` is below ``tolerance``.
    """
    derivatives = DERIVATIVES[contrast]
    weights = symmetric_decorrelation(start.to(whitened))
    change, iteration = math.inf, 0
    while iteration < max_iterations and change >= tolerance:
        iteration += 1
        g, slope = derivatives(weights @ whitened)
        step = g @ whitened.T / whitened.shape[1] - slope[:, None] * weights
        updated = symmetric_decorrelation(step)
        change = float((1 - (updated * weights).sum(dim=1).abs()).abs().max())
        weights = updated
    return Rotation(weights.double(), iteration, change)


class FastICA(FastICAConfig, SubspaceDecomposition):
    """Independent components of token-by-neuron signals (Hyvärinen & Oja 2000, symmetric fixed point).

    For spatial independence, maps are centred over neurons for the separation, and reported with their mean,
    so that both kinds of independence explain the same variance.

    Signals are whitened to K dimensions once, for all starts. Of the converged starts, or of all starts if
    none converged, the one with the largest negentropy is kept.

    Attributes
    ----------
    maps_, time_courses_, explained_variance_ratio_, explained_variance_, metrics_
        As in ``Decomposition``.
    negentropy_ : Tensor of shape (K,)
        Negentropy of each network's time course, or of its map for spatial independence.
    n_iterations_ : int
        Number of iterations of the start that was kept.
    converged_ : bool
        True if that start converged.

    Examples
    --------
    >>> ica = fbn.ICA(n_components=3, seed=1)
    >>> networks = fbn.fit(ica, signals)
    >>> ica.converged_
    True
    """

    negentropy_: Tensor
    n_iterations_: int
    converged_: bool

    @override
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        if self.independence is Independence.temporal:
            return subspace.mixing(self._rotation(subspace.whitened().T.contiguous(), generator))
        whitened = NeuronWhitening.of(subspace.loadings)
        mixing = whitened.mixing(self._rotation(whitened.values, generator))
        # a constant map, which comes last, has negentropy 0
        missing = self.n_components - len(self.negentropy_)
        self.negentropy_ = torch.cat([self.negentropy_, self.negentropy_.new_zeros(missing)])
        return mixing

    def _rotation(self, whitened: Tensor, generator: torch.Generator) -> Tensor:
        """Rotation of whitened samples (L, n) to the most independent sources, from the best start."""
        shape = (len(whitened), len(whitened))
        starts = []
        for _ in tqdm(range(self.restarts), desc="ICA starts", unit=" start", leave=False, delay=1):
            start = torch.randn(shape, generator=generator, dtype=torch.float64)
            rotation = self._iterate(whitened, start)
            total = float(negentropy(rotation.weights @ whitened, self.contrast).sum())
            starts.append((rotation.change < self.tolerance, total, rotation))
        self.converged_, total, best = max(starts, key=lambda result: result[:2])
        self.n_iterations_ = best.n_iterations
        self.negentropy_ = negentropy(best.weights @ whitened, self.contrast).cpu()
        self.convergence_ = (Convergence(self.converged_, best.n_iterations, best.change),)
        self.metrics_ = {
            "converged": float(self.converged_),
            "starts_converged": float(sum(converged for converged, _, _ in starts)),
            "n_iterations": float(best.n_iterations),
            "last_change": best.change,
            "negentropy": total,
            "spatial": float(self.independence is Independence.spatial),
        }
        return best.weights

    def _iterate(self, whitened: Tensor, start: Tensor) -> Rotation:
        """Iterate in single precision up to a coarse tolerance, then in double precision."""
        coarse_tolerance = max(self.tolerance, COARSE_TOLERANCE)
        coarse = fixed_point(whitened.float(), start, self.contrast, coarse_tolerance, self.max_iterations)
        left = self.max_iterations - coarse.n_iterations
        if left == 0:
            return coarse
        fine = fixed_point(whitened, coarse.weights, self.contrast, self.tolerance, left)
        return Rotation(fine.weights, coarse.n_iterations + fine.n_iterations, fine.change)

    @override
    def _arrange(self, order: Tensor) -> None:
        self.negentropy_ = self.negentropy_[order]
