"""Picard-O: quasi-Newton optimisation of FastICA's objective over rotations, for many starts at once."""

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.contrasts import Derivative
from fbn_exp.methods.solvers.fastica import Solution, fixed_point, symmetric_decorrelation

# FastICA is fast far from an optimum and slow near it
FIRST_STEPS = 15
# gradient at which single precision gives way to double: ten times its rounding error
COARSE_TOLERANCE = 1e-5
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

    def of(self, index: Tensor) -> Self:
        """Keep some of the starts."""
        return replace(
            self,
            weights=self.weights[index],
            relative=self.relative[index],
            curvature=self.curvature[index],
        )

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

    def empty(self) -> Tensor | bool:
        """Tell which starts have no pair."""
        return ~torch.stack([weight > 0 for _, _, weight in self.pairs]).any(dim=0) if self.pairs else True

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


def _searched(derivative: Derivative, points: Points, direction: Tensor) -> tuple[Points, Tensor, Tensor]:
    """Shorten steps along geodesics until the objective decreases.

    The objective along a geodesic is not evaluated: its slopes at both ends, which the gradients give, bound
    its change, also where the change is far below the rounding error of the objective (the approximate Wolfe
    condition of Hager & Zhang 2005).

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
    after = replace(
        points, weights=points.weights.clone(), relative=points.relative.clone(),
        curvature=points.curvature.clone(),
    )  # fmt: skip
    left = torch.arange(len(slope), device=slope.device)
    moved = torch.zeros_like(slope, dtype=torch.bool)
    for _ in range(TRIES):
        step = length[left, None, None] * direction[left]
        tried = Points.at(derivative, torch.matrix_exp(step) @ points.weights[left])
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


class _Descent:
    """Quasi-Newton iterations of many starts, each until it converges, fails or runs out of iterations."""

    def __init__(self, weights: Tensor, n_iterations: Tensor) -> None:
        self.weights = weights
        self.n_iterations = n_iterations
        self.gradient = torch.full_like(weights[:, 0, 0], math.inf)

    def run(self, derivative: Derivative, tolerance: float, max_iterations: int) -> None:
        """Advance all starts until their gradients are below the tolerance."""
        active = self.weights.isfinite().all(dim=2).all(dim=1).nonzero()[:, 0]
        memory = Memory()
        points = Points.at(derivative, self.weights[active])
        while True:
            gradient = points.gradient(points.signs)
            self.weights[active] = points.weights
            self.gradient[active] = largest = gradient.abs().amax(dim=(1, 2))
            going = (largest >= tolerance) & (self.n_iterations[active] < max_iterations)
            if not going.all():
                active, points, gradient = active[going], points.of(going), gradient[going]
                memory.keep(going)
            if len(active) == 0:
                return
            direction = memory.direction(gradient, points.curvature)
            largest_turn = direction.abs().amax(dim=(1, 2))
            direction = direction * (LARGEST_TURN / largest_turn).clamp_max(1)[:, None, None]
            after, step, moved = _searched(derivative, points, direction)
            self.n_iterations[active] += 1
            same = (after.signs == points.signs).all(dim=1)
            stuck = ~moved & memory.empty()
            memory.forget(~(same & moved))
            memory.add(step, after.gradient(after.signs) - gradient, same & moved)
            points = after
            if stuck.any():
                active, points = active[~stuck], points.of(~stuck)
                memory.keep(~stuck)


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
    coarse, exact = Derivative(whitened.float(), contrast), Derivative(whitened, contrast)
    weights, n_iterations, _ = fixed_point(coarse, start, 0, min(FIRST_STEPS, max_iterations))
    finite = weights.isfinite().all(dim=2).all(dim=1)
    # the first decorrelation of a start may leave rounding error, and steps along geodesics keep it
    weights[finite] = symmetric_decorrelation(weights[finite])
    descent = _Descent(weights, n_iterations)
    if tolerance < COARSE_TOLERANCE:
        descent.run(coarse, COARSE_TOLERANCE, max_iterations)
    descent.run(exact, tolerance, max_iterations)
    return Solution(descent.weights, descent.n_iterations, descent.gradient, descent.gradient < tolerance)
