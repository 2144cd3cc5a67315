"""Which neurons belong to a network: rules that turn a map into a mask."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor
from typing_extensions import override

from fbn_exp.errors import ConfigError

# median absolute deviation of a standard normal
NORMAL_MAD = float(ndtri(0.75))


class Threshold(ABC):
    """A rule for membership.

    One-sided rules take the positive side only. Since the sign of a network is arbitrary, it is fixed
    by its peak first: the weight of largest magnitude is positive.
    """

    two_sided: bool

    @abstractmethod
    def masks(self, maps: Tensor) -> Tensor:
        """Members of each network.

        Parameters
        ----------
        maps : Tensor of shape (K, N)
            Weights, each row with its peak positive.

        Returns
        -------
        Tensor of shape (K, N), bool
            A row may be empty.
        """

    @abstractmethod
    def describe(self) -> str:
        """The rule in words, for captions."""

    def _magnitude(self, scores: Tensor) -> Tensor:
        return scores.abs() if self.two_sided else scores

    def _sides(self) -> str:
        return "two-sided" if self.two_sided else "one-sided"


def z_scores(maps: Tensor) -> Tensor:
    """Weights standardised over neurons, row by row: mean 0, standard deviation 1; a flat row is 0."""
    exact = maps.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)


class ZThreshold(Threshold):
    """Members have a weight more than ``value`` standard deviations above the mean, as in the paper.

    Parameters
    ----------
    value : float
        Cut on the z-score, positive; 1.96 and 3.6 in the authors' code.
    two_sided : bool
        Cut the magnitude of the z-score instead.

    Raises
    ------
    ConfigError
        If ``value`` is not positive.
    """

    def __init__(self, value: float = 1.96, two_sided: bool = False) -> None:
        if not value > 0:  # nor nan
            raise ConfigError(f"threshold.value is {value}, must be positive")
        self.value = value
        self.two_sided = two_sided

    @override
    def masks(self, maps: Tensor) -> Tensor:
        return self._magnitude(z_scores(maps)) > self.value

    @override
    def describe(self) -> str:
        return f"z > {self.value:g}, {self._sides()}"


class TopFraction(Threshold):
    """The given fraction of all neurons, those with the largest weights: networks of equal size.

    Parameters
    ----------
    fraction : float
        Above 0 and at most 1; at least one neuron is taken.
    two_sided : bool
        Rank by magnitude instead.

    Raises
    ------
    ConfigError
        If ``fraction`` is out of range.
    """

    def __init__(self, fraction: float = 0.02, two_sided: bool = False) -> None:
        if not 0 < fraction <= 1:
            raise ConfigError(f"threshold.fraction is {fraction}, must be above 0 and at most 1")
        self.fraction = fraction
        self.two_sided = two_sided

    @override
    def masks(self, maps: Tensor) -> Tensor:
        count = max(1, round(self.fraction * maps.shape[1]))
        chosen = self._magnitude(maps).topk(count, dim=1).indices
        return torch.zeros(maps.shape, dtype=torch.bool).scatter_(1, chosen, True)

    @override
    def describe(self) -> str:
        return f"largest {self.fraction:.2%}, {self._sides()}"


class FalseDiscoveryRate(Threshold):
    """Members stand out of a robust normal null at a false-discovery rate (Benjamini & Hochberg 1995).

    The null of each network is a normal with the median and the scaled median absolute deviation of its
    weights: most neurons are not members, so the bulk tells what non-members look like (an empirical
    null, Efron 2004). A network without outstanding neurons is empty. If more than half of the weights
    are equal, as in a sparse map, the null has no spread: every other weight on a tested side stands out.

    Parameters
    ----------
    rate : float
        Expected share of false members, between 0 and 1.
    two_sided : bool
        Test both tails.

    Raises
    ------
    ConfigError
        If ``rate`` is out of range.
    """

    def __init__(self, rate: float = 0.05, two_sided: bool = False) -> None:
        if not 0 < rate < 1:
            raise ConfigError(f"threshold.rate is {rate}, must lie between 0 and 1")
        self.rate = rate
        self.two_sided = two_sided

    @override
    def masks(self, maps: Tensor) -> Tensor:
        return torch.stack([benjamini_hochberg(self._p_values(row), self.rate) for row in maps])

    def _p_values(self, weights: Tensor) -> Tensor:
        exact = weights.double()
        centred = exact - _median(exact)
        spread = _median(centred.abs()) / NORMAL_MAD
        # a weight at the median does not stand out, whatever the spread
        scores = self._magnitude(torch.where(centred == 0, 0.0, centred / spread))
        return torch.special.ndtr(-scores) * (2 if self.two_sided else 1)

    @override
    def describe(self) -> str:
        return f"false-discovery rate {self.rate:g}, {self._sides()}"


def _median(values: Tensor) -> float:
    # torch's median is the lower of the two middle values, its quantile has refused large inputs
    return float(np.median(values.numpy()))


def benjamini_hochberg(p: Tensor, rate: float) -> Tensor:
    """Hypotheses rejected by the step-up procedure, bool of the shape of ``p`` (n,)."""
    ordered, order = p.sort()
    line = rate * torch.arange(1, len(p) + 1, dtype=p.dtype) / len(p)
    below = (ordered <= line).nonzero()
    rejected = torch.zeros(len(p), dtype=torch.bool)
    if len(below):
        rejected[order[: int(below[-1]) + 1]] = True
    return rejected
