"""Threshold that controls the false-discovery rate against a robust normal null."""

import torch
from scipy.stats import false_discovery_control
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.config import FDRThresholdConfig, Pole
from fbn_exp.thresholds.null import null_scores


class FalseDiscoveryRate(FDRThresholdConfig, Threshold):
    """Members stand out of a robust normal null per block, at a false-discovery rate.

    The rate is controlled over all neurons of a map (Benjamini & Hochberg 1995), with the p values of
    ``null_scores``: an empirical null in each block, from the bulk of that block's weights. A network without
    significant weights is empty. If more than half of the weights are equal, as in a sparse map, the null has
    no spread, and every other weight on a tested side is significant. With ``pole=both`` p values are
    two-sided, so that a member of one pole may be lost. Networks of a localizer bring the p values of their
    own tests, which take the place of the null.

    Examples
    --------
    >>> networks.masks(fbn.FalseDiscoveryRate(0.05)).sum(dim=1)
    """

    @override
    def masks(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        return self.masks_of_z(null_scores(maps, layout))

    @override
    def masks_of_z(self, z: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        p = torch.special.ndtr(-self._oriented(z))
        if self.pole is Pole.both:
            p *= 2
        return torch.from_numpy(false_discovery_control(p.numpy(), axis=1)) <= self.rate

    @override
    def describe(self) -> str:
        return f"false-discovery rate {self.rate:g}, {self._sides()}"
