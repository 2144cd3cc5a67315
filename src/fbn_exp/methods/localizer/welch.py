"""Welch's t test of every neuron at once, from sums over the texts of two groups."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from fbn_exp.core.rows import Array

# below this the tail of t is computed in logarithms, since a smaller one becomes 0
SMALLEST_TAIL = 1e-290


@dataclass(frozen=True, eq=False)
class WelchTest:
    """Welch's unequal-variances t of G pairs of groups, for every neuron.

    Attributes
    ----------
    t : Tensor of shape (G, N), float64
        Positive where the first group of the pair has the larger mean; 0 for a neuron constant in both.
    degrees : Tensor of shape (G, N), float64
        Degrees of freedom (Welch 1947; Satterthwaite 1946).
    """

    t: Tensor
    degrees: Tensor

    def z(self) -> Tensor:
        """Normal deviate with the same one-sided p as t, shape (G, N): nilearn's and FSL's z map."""
        magnitude, degrees = self.t.abs().numpy(), self.degrees.numpy()
        tail = special.stdtr(degrees, -magnitude)
        far = tail < SMALLEST_TAIL
        z = -special.ndtri(tail)
        z[far] = -special.ndtri_exp(_log_tail(magnitude[far], degrees[far]))
        return torch.from_numpy(z) * self.t.sign()


def welch(values: Tensor, first: Tensor, second: Tensor) -> WelchTest:
    """Test the difference of the means of two groups of texts, for many pairs of groups.

    Parameters
    ----------
    values : Tensor of shape (n, N), float64
        Value of every neuron in every text, centred over texts, which keeps sums of squares exact.
    first, second : Tensor of shape (G, n), bool
        Texts of the groups; at least two in each.

    Returns
    -------
    WelchTest
        Equal to ``scipy.stats.ttest_ind(equal_var=False)``.
    """
    squares = values.square()
    (mean_1, error_1, n_1), (mean_2, error_2, n_2) = (
        _moments(values, squares, group) for group in (first, second)
    )
    error = error_1 + error_2
    t = (mean_1 - mean_2) / error.sqrt()
    degrees = error.square() / (error_1.square() / (n_1 - 1) + error_2.square() / (n_2 - 1))
    constant = error <= 0
    return WelchTest(t.masked_fill(constant, 0.0), degrees.masked_fill(constant, 1.0))


def _moments(values: Tensor, squares: Tensor, group: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means of a group, their squared standard errors, and the numbers of texts."""
    weights = group.double()
    count = weights.sum(dim=1, keepdim=True)
    mean = weights @ values / count
    variance = (weights @ squares - count * mean.square()).clamp_min(0) / (count - 1)
    return mean, variance / count, count


def _log_tail(t: Array, degrees: Array) -> Array:
    """Logarithm of P(T > t) for large t, by the series of the incomplete beta function."""
    half = degrees / 2
    x = degrees / (degrees + t**2)
    series = special.hyp2f1(half + 0.5, 1.0, half + 1, x)
    prefactor = half * np.log(x) + 0.5 * np.log1p(-x) - np.log(half) - special.betaln(half, 0.5)
    return prefactor + np.log(series) - np.log(2)
