"""Picard-O: quasi-Newton optimisation of FastICA's objective over rotations, for many starts at once."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.contrasts import Derivative
from fbn_exp.methods.solvers.fastica import Solution, fixed_point, symmetric_decorrelation

# FastICA is fast far from an optimum and slow near it
FIRST_STEPS = 15
# gradient at which single precision gives way to double: ten times its rounding error
COARSE_TOLERANCE = 3e-6
# pairs of steps and changes of the gradient that L-BFGS keeps
MEMORY = 7
# smallest curvature of a pair of sources, as in the reference implementation
LEAST_CURVATURE = 0.01
# halvings of a step before the memory, and then the start, is given up
TRIES = 10
# largest angle by which a step turns a pair of sources
LARGEST_TURN = 1.0


@dataclass(frozen=True, eq=False)
class Points:
    """Rotations of S starts, and the relative gradient of the objective there.

    Attributes
    ----------
    weights : Tensor of shape (S, K, K), float64
    relative : Tensor of shape (S, K, K), float64
        E g(y) yᵀ, before signs.
    curvature : Tensor of shape (S, K), float64
        κ = E g′(y) − E g(y) y, positive for super-Gaussian sources under log cosh.
    """

    weights: Tensor
    relative: Tensor
    curvature: Tensor

    @classmethod
    def at(cls, derivative: Derivative, weights: Tensor) -> Self:
        """Evaluate the derivative."""
        product, slope = derivative(weights)
        relative = product @ weights.mT
        return cls(weights, relative, slope - relative.diagonal(dim1=1, dim2=2))

    @property
    def signs(self) -> Tensor:
        """Sign of each source's term in the objective, shape (S, K): −1 where E G is to be maximised."""
        return torch.where(self.curvature < 0, -1.0, 1.0).to(self.curvature)

    def gradient(self, signs: Tensor) -> Tensor:
        """Skew part of the relative gradient under given signs, shape (S, K, K)."""
        signed = signs[..., None] * self.relative
        return (signed - signed.mT) / 2

    def of(self, index: Tensor) -> "Points":
        """Keep some of the starts."""
        return Points(self.weights[index], self.relative[index], self.curvature[index])

    def put(self, index: Tensor, other: "Points") -> None:
        """Overwrite some of the starts."""
        self.weights[index] = other.weights
        self.relative[index] = other.relative
        self.curvature[index] = other.curvature


class Memory:
    """L-BFGS approximation of the inverse Hessian, for every start separately.

    A pair with weight 0 has no influence: so is a pair of negative curvature, and every pair of a start whose
    signs have changed since, because its objective is another.
    """

    def __init__(self) -> None:
        self.pairs: deque[list[Tensor]] = deque(maxlen=MEMORY)

    def add(self, step: Tensor, change: Tensor, usable: Tensor) -> None:
        """Add a step (S, K, K) and the change of the gradient along it."""
        product = (step * change).sum(dim=(1, 2))
        weight = torch.where(usable & (product > 0), 1 / product, 0.0)
        self.pairs.append([step, change, torch.where(weight.isfinite(), weight, 0.0)])

    def forget(self, index: Tensor) -> None:
        """Give all pairs of some starts weight 0."""
        for pair in self.pairs:
            pair[2][index] = 0

    def keep(self, index: Tensor) -> None:
        """Keep the pairs of some of the starts."""
        for pair in self.pairs:
            pair[:] = [values[index] for values in pair]

    def empty(self) -> Tensor:
        """Tell which starts have no pair."""
        if not self.pairs:
            return torch.tensor(True)
        return ~torch.stack([weight > 0 for _, _, weight in self.pairs]).any(dim=0)

    def direction(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        """Skew matrices (S, K, K) of a quasi-Newton step; the two loops of Nocedal & Wright, algorithm 7.4.

        The first approximation of the Hessian is its expectation for independent sources, (κ_i + κ_j) / 2.
        """
        size = curvature.abs()
        hessian = ((size[:, :, None] + size[:, None, :]) / 2).clamp_min(LEAST_CURVATURE)
        left, shares = gradient, []
        for step, change, weight in reversed(self.pairs):
            shares.append(weight * (step * left).sum(dim=(1, 2)))
            left = left - shares[-1][:, None, None] * change
        left = left / hessian
        for (step, change, weight), share in zip(self.pairs, reversed(shares), strict=True):
            back = weight * (change * left).sum(dim=(1, 2))
            left = left + (share - back)[:, None, None] * step
        direction = (left.mT - left) / 2
        uphill = (direction * gradient).sum(dim=(1, 2)) >= 0
        return torch.where(uphill[:, None, None], -gradient / hessian, direction)


class _Evaluation:
    """Points in single precision while a start is coarse, in double precision once it is fine."""

    def __init__(self, whitened: Tensor, contrast: Contrast) -> None:
        self.coarse, self.exact = Derivative(whitened.float(), contrast), Derivative(whitened, contrast)

    def __call__(self, weights: Tensor, fine: Tensor) -> Points:
        if fine.all() or not fine.any():
            return Points.at(self.exact if fine.any() else self.coarse, weights)
        points = Points(weights, torch.empty_like(weights), torch.empty_like(weights[:, 0]))
        for derivative, chosen in ((self.exact, fine), (self.coarse, ~fine)):
            points.put(chosen, Points.at(derivative, weights[chosen]))
        return points


def _searched(
    evaluate: _Evaluation, points: Points, direction: Tensor, fine: Tensor
) -> tuple[Points, Tensor, Tensor]:
    """Shorten steps along geodesics until the slope at the end is below minus the slope at the start.

    The objective along a geodesic is not evaluated. The test is the upper one of the approximate Wolfe
    conditions of Hager & Zhang (2005), φ′(α) ≤ (2δ − 1) φ′(0), with δ → 0: where the objective is quadratic
    along the step it decreases, also where the decrease is far below its rounding error; elsewhere that is
    not guaranteed. The lower condition, on the curvature, is not asked for: L-BFGS leaves out pairs of
    negative curvature instead.

    Returns
    -------
    points : Points
        The starts after the step; as before where none was found.
    step : Tensor of shape (S, K, K)
        The step, a part of the direction.
    moved : Tensor of shape (S,), bool
    """
    signs = points.signs
    slope = (points.gradient(signs) * direction).sum(dim=(1, 2))
    length = torch.ones_like(slope)
    after = Points(points.weights.clone(), points.relative.clone(), points.curvature.clone())
    left = torch.arange(len(slope), device=slope.device)
    moved = torch.zeros_like(slope, dtype=torch.bool)
    for _ in range(TRIES):
        step = length[left, None, None] * direction[left]
        tried = evaluate(torch.matrix_exp(step) @ points.weights[left], fine[left])
        end = (tried.gradient(signs[left]) * direction[left]).sum(dim=(1, 2))
        better = end < -slope[left]
        after.put(left[better], tried.of(better))
        moved[left[better]] = True
        # the secant's zero of the slope, within limits
        part = (slope[left] / (slope[left] - end)).nan_to_num(0.1).clamp(0.1, 0.5)
        left, part = left[~better], part[~better]
        length[left] *= part
        if len(left) == 0:
            break
    return after, length[:, None, None] * direction, moved


def _limited(direction: Tensor) -> Tensor:
    """Scale directions whose largest angle is too large to be trusted."""
    largest = direction.abs().amax(dim=(1, 2))
    return direction * (LARGEST_TURN / largest).clamp_max(1)[:, None, None]


def _descend(
    evaluate: _Evaluation, weights: Tensor, n_iterations: Tensor, tolerance: float, most: int
) -> Tensor:
    """Advance starts in place, each until it converges, fails or runs out of iterations; return gradients."""
    reached = torch.full_like(weights[:, 0, 0], math.inf)
    active = weights.isfinite().all(dim=2).all(dim=1).nonzero()[:, 0]
    fine = torch.zeros_like(active, dtype=torch.bool)
    stuck = torch.zeros_like(fine)
    memory = Memory()
    points = evaluate(weights[active], fine)
    enough = max(tolerance, COARSE_TOLERANCE)
    while True:
        gradient = points.gradient(points.signs)
        largest = gradient.abs().amax(dim=(1, 2))
        ready = ~fine & (stuck | (largest < enough) | (n_iterations[active] >= most))
        if ready.any():
            fine, stuck = fine | ready, stuck & ~ready
            points.put(ready, Points.at(evaluate.exact, points.weights[ready]))
            gradient = points.gradient(points.signs)
            largest = gradient.abs().amax(dim=(1, 2))
        weights[active], reached[active] = points.weights, largest
        going = ~stuck & ~(fine & (largest < tolerance)) & (n_iterations[active] < most)
        if not going.all():
            active, points, gradient, fine = active[going], points.of(going), gradient[going], fine[going]
            memory.keep(going)
        if len(active) == 0:
            return reached
        direction = _limited(memory.direction(gradient, points.curvature))
        after, step, moved = _searched(evaluate, points, direction, fine)
        n_iterations[active] += 1
        usable = moved & (after.signs == points.signs).all(dim=1)
        stuck = ~moved & memory.empty()
        memory.forget(~usable)
        memory.add(step, after.gradient(after.signs) - gradient, usable)
        points = after


def picard(
    whitened: Tensor, start: Tensor, contrast: Contrast, tolerance: float, max_iterations: int
) -> Solution:
    """Minimise Σ_k sign(κ_k) E G(y_k) over rotations (Picard-O; Ablin, Cardoso & Gramfort 2018).

    A few steps of FastICA, then L-BFGS on the group of rotations, preconditioned by the Hessian of
    independent sources. The sign of each source follows from its curvature κ, so that sub- and super-Gaussian
    sources are separated alike. Sources are in single precision while the gradient is large, in double at the
    end; rotations, gradients and steps are always in double.

    Parameters
    ----------
    whitened : Tensor of shape (K, T), float64
        Zero mean, unit variance and no correlation over samples.
    start : Tensor of shape (S, K, K), float64
        Initial weights.
    contrast : Contrast
        The function G.
    tolerance : float
        Converged where the largest entry of the skew part of the relative gradient is below it.
    max_iterations : int
        Largest number of iterations of a start, the first steps included.

    Returns
    -------
    Solution
    """
    evaluate = _Evaluation(whitened, contrast)
    first = min(FIRST_STEPS, max_iterations)
    weights, n_iterations, _ = fixed_point(evaluate.coarse, start, 0, first)
    finite = weights.isfinite().all(dim=2).all(dim=1)
    # the first decorrelation of a start may leave rounding error, and steps along geodesics keep it
    weights[finite] = symmetric_decorrelation(weights[finite])
    gradient = _descend(evaluate, weights, n_iterations, tolerance, max_iterations)
    return Solution(weights, n_iterations, gradient, gradient < tolerance)
