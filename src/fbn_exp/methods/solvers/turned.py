"""Leave a local optimum of ICA: mix every pair of its sources, and optimise again."""

import math

import torch
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.fastica import Solution, sources_match
from fbn_exp.methods.solvers.picard import picard

# the gradient at which it is clear where a mixed pair goes, and the iterations until there
COARSE = 1e-2
COARSE_ITERATIONS = 60
# below this correlation with every source of the optimum, a source has left it
LEFT = 0.9


def turned_pairs(weights: Tensor) -> Tensor:
    """Turn two sources of a rotation by 45 degrees, for every pair.

    Parameters
    ----------
    weights : Tensor of shape (K, K), float64

    Returns
    -------
    Tensor of shape (K (K − 1) / 2, K, K), float64
        With the sources (y_i + y_j) / √2 and (y_j − y_i) / √2 in the place of y_i and y_j.
    """
    first, second = torch.triu_indices(len(weights), len(weights), offset=1)
    pair = torch.arange(len(first))
    turned = weights.repeat(len(first), 1, 1)
    turned[pair, first] = (weights[first] + weights[second]) * math.sqrt(0.5)
    turned[pair, second] = (weights[second] - weights[first]) * math.sqrt(0.5)
    return turned


def neighbours(
    whitened: Tensor, optimum: Tensor, contrast: Contrast, tolerance: float, max_iterations: int
) -> Solution | None:
    """Find other optima near one: from every pair of its sources, mixed in equal parts.

    Random starts rarely reach a good optimum with a narrow basin, as of z-scored signals of 1,900 tokens,
    where one start of 40 does; from the next optimum, a few turned pairs of 45 do. Two sources mixed in
    equal parts are the saddle point at which EFICA tests its solution (Koldovský, Tichavský & Oja 2006,
    Efficient variant of algorithm FastICA, section III.B).

    Parameters
    ----------
    whitened : Tensor of shape (K, T), float64
        Zero mean, unit variance and no correlation over samples.
    optimum : Tensor of shape (K, K), float64
        Weights to leave.
    contrast : Contrast
        The function G.
    tolerance, max_iterations
        As of ``picard``.

    Returns
    -------
    Solution or None
        Of the turned pairs that did not come back to the optimum; None if all did.
    """
    if len(optimum) < 2:
        return None
    most = min(max_iterations, COARSE_ITERATIONS)
    coarse = picard(whitened, turned_pairs(optimum), contrast, COARSE, most)
    left = coarse.weights[coarse.finite & ~sources_match(coarse.weights, optimum, LEFT)]
    return picard(whitened, left, contrast, tolerance, max_iterations) if len(left) else None
