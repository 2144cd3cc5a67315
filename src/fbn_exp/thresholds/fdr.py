"""Control the false-discovery rate against a robust normal null."""

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ConfigError
from fbn_exp.thresholds.base import Threshold

# median absolute deviation of a standard normal
NORMAL_MAD = float(ndtri(0.75))


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
