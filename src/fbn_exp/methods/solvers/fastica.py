"""FastICA: the symmetric fixed point of Hyvärinen & Oja, for many starts at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.contrasts import Derivative

# smallest change that single precision resolves; iterations below it run in double precision
COARSE_TOLERANCE = 1e-5
# smallest ratio of eigenvalues of W Wᵀ for which its inverse square root is accurate enough
CONDITION = 1e-10


@dataclass(frozen=True, eq=False)
class Solution:
    """Rotations that a solver reached from S starts.

    Attributes
    ----------
    weights : Tensor of shape (S, K, K), float64
        Orthogonal; row k of a start is the direction of its source k in whitened samples. Not finite where a
        start diverged.
    n_iterations : Tensor of shape (S,), int64
        Number of iterations.
    gradient : Tensor of shape (S,), float64
        Largest entry of the skew part of the relative gradient, 0 at an optimum; infinite where a start
        diverged.
    converged : Tensor of shape (S,), bool
        True where the solver met its own rule.
    """

    weights: Tensor
    n_iterations: Tensor
    gradient: Tensor
    converged: Tensor

    @classmethod
    def joined(cls, parts: "list[Solution]") -> "Solution":
        """Put the starts of several solutions into one."""
        return cls(
            torch.cat([part.weights for part in parts]),
            torch.cat([part.n_iterations for part in parts]),
            torch.cat([part.gradient for part in parts]),
            torch.cat([part.converged for part in parts]),
        )

    @property
    def finite(self) -> Tensor:
        """Flag per start, shape (S,): false where it diverged."""
        return self.weights.isfinite().all(dim=2).all(dim=1)

    def only(self, start: int) -> "Solution":
        """Keep a single start."""
        kept = slice(start, start + 1)
        return Solution(
            self.weights[kept], self.n_iterations[kept], self.gradient[kept], self.converged[kept]
        )


def sources_match(weights: Tensor, other: Tensor, correlation: float) -> Tensor:
    """Tell which rotations (…, K, K) have the sources of another (K, K), one to one, beyond a correlation.

    Correlations of the sources are the entries of W W′ᵀ.
    """
    return ((weights @ other.T).abs() > correlation).sum(dim=-1).eq(1).all(dim=-1)


def symmetric_decorrelation(weights: Tensor) -> Tensor:
    """(W Wᵀ)^(-1/2) W: the nearest matrices with orthonormal rows, accurate also if W is nearly singular.

    Parameters
    ----------
    weights : Tensor of shape (…, K, K)
        Finite.
    """
    # K × K: on an accelerator the eigenvectors of so small a matrix take longer than the copy to the CPU
    exact = weights.double().cpu().reshape(-1, *weights.shape[-2:])
    values, vectors = torch.linalg.eigh(exact @ exact.mT)
    roots = values.clamp_min(1e-300).sqrt()
    orthonormal = (vectors / roots[:, None]) @ vectors.mT @ exact
    # rows are nearly parallel: in W Wᵀ the smallest singular values, squared, are rounding error
    singular = values[:, 0] <= CONDITION * values[:, -1]
    if singular.any():
        left, _, right = torch.linalg.svd(exact[singular])
        orthonormal[singular] = left @ right
    return orthonormal.reshape(weights.shape).to(weights)


def fixed_point(
    derivative: Derivative, start: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Run symmetric FastICA iterations (Hyvärinen & Oja 2000, section 6.2), each start until it converges.

    Parameters
    ----------
    derivative : Derivative
        Contrast and whitened samples.
    start : Tensor of shape (S, K, K), float64
        Initial weights; decorrelated before use.
    tolerance : float
        Largest 1 − |cosine| between the rows of two successive iterates at convergence.
    max_iterations : int
        Largest number of iterations.

    Returns
    -------
    weights : Tensor of shape (S, K, K), float64
        Not finite where a start diverged.
    n_iterations : Tensor of shape (S,), int64
    change : Tensor of shape (S,), float64
        Largest 1 − |cosine| of the last iteration; infinite before the first.
    """
    weights = start.clone()
    change = torch.full_like(start[:, 0, 0], math.inf)
    n_iterations = torch.zeros_like(change, dtype=torch.int64)
    active = _finite(weights).nonzero()[:, 0]
    weights[active] = symmetric_decorrelation(weights[active])
    for _ in range(max_iterations):
        if len(active) == 0:
            break
        current = weights[active]
        product, slope = derivative(current)
        step = product - slope[..., None] * current
        usable = _finite(step)
        weights[active] = math.nan
        active, current = active[usable], current[usable]
        updated = symmetric_decorrelation(step[usable])
        turned = (1 - (updated * current).sum(dim=2).abs()).abs().amax(dim=1)
        weights[active], change[active] = updated, turned
        n_iterations[active] += 1
        active = active[turned >= tolerance]
    return weights, n_iterations, change


def _finite(weights: Tensor) -> Tensor:
    return weights.isfinite().all(dim=2).all(dim=1)


def fastica(
    whitened: Tensor, start: Tensor, contrast: Contrast, tolerance: float, max_iterations: int
) -> Solution:
    """Run FastICA in single precision up to a coarse tolerance, then in double precision.

    Parameters
    ----------
    whitened : Tensor of shape (K, T), float64
        Zero mean, unit variance and no correlation over samples.
    start : Tensor of shape (S, K, K), float64
        Initial weights.
    contrast : Contrast
        The function G.
    tolerance : float
        Converged where the largest 1 − |cosine| between the rows of two successive iterates is below it.
    max_iterations : int
        Largest number of iterations.

    Returns
    -------
    Solution
        Its gradient is measured at the end, in double precision.
    """
    coarse, exact = Derivative(whitened.float(), contrast), Derivative(whitened, contrast)
    weights, n_iterations, change = fixed_point(
        coarse, start, max(tolerance, COARSE_TOLERANCE), max_iterations
    )
    going = (n_iterations < max_iterations).nonzero()[:, 0]
    # starts differ in the iterations that are left to them
    for left in (max_iterations - n_iterations[going]).unique().tolist():
        these = going[max_iterations - n_iterations[going] == left]
        weights[these], more, change[these] = fixed_point(exact, weights[these], tolerance, left)
        n_iterations[these] += more
    gradient = torch.full_like(change, math.inf)
    finite = _finite(weights)
    gradient[finite] = largest_gradient(exact, weights[finite])
    return Solution(weights, n_iterations, gradient, finite & (change < tolerance))


def largest_gradient(derivative: Derivative, weights: Tensor) -> Tensor:
    """Largest entry of the skew part of the relative gradient at weights (S, K, K), shape (S,).

    The relative gradient is sign(κ_k) E g(y_k) y, with κ_k = E g′(y_k) − E g(y_k) y_k (Ablin, Cardoso &
    Gramfort 2018); a rotation is stationary where it is symmetric.
    """
    product, slope = derivative(weights)
    relative = product @ weights.mT
    signed = _signs(relative, slope)[..., None] * relative
    return (signed - signed.mT).abs().amax(dim=(1, 2)) / 2


def _signs(relative: Tensor, slope: Tensor) -> Tensor:
    curvature = slope - relative.diagonal(dim1=1, dim2=2)
    return torch.where(curvature < 0, -1.0, 1.0).to(curvature)
