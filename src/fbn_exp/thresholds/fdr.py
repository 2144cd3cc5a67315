"""Threshold that controls the false-discovery rate against a robust normal null."""

import numpy as np
import torch
from scipy.stats import false_discovery_control, median_abs_deviation
from torch import Tensor
from typing_extensions import override

from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.config import FDRThresholdConfig


class FalseDiscoveryRate(FDRThresholdConfig, Threshold):
    """Members stand out of a robust normal null at a false-discovery rate (Benjamini & Hochberg 1995).

    The null of each network is a normal with the median and the scaled median absolute deviation of its
    weights (an empirical null, Efron 2004): since most neurons are not members, the bulk of the weights is
    the distribution of non-members. A network without significant weights is empty. If more than half of the
    weights are equal, as in a sparse map, the null has no spread, and every other weight on a tested side is
    significant.

    Examples
    --------
    >>> networks.masks(fbn.FalseDiscoveryRate(0.05)).sum(dim=1)
    """

    @override
    def masks(self, maps: Tensor) -> Tensor:
        return torch.stack([self._adjusted(row) <= self.rate for row in maps])

    def _adjusted(self, weights: Tensor) -> Tensor:
        """Adjusted p-value of each weight."""
        exact = weights.double()
        # torch's median is the lower of the two middle values, and its quantile can refuse large inputs
        centred = exact - float(np.median(exact.numpy()))
        spread = float(median_abs_deviation(exact.numpy(), scale="normal"))
        # a weight at the median has score 0, also when the spread is 0
        scores = self._magnitude(torch.where(centred == 0, 0.0, centred / spread))
        p = torch.special.ndtr(-scores) * (2 if self.two_sided else 1)
        return torch.from_numpy(false_discovery_control(p.numpy()))

    @override
    def describe(self) -> str:
        return f"false-discovery rate {self.rate:g}, {self._sides()}"
