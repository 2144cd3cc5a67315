"""Threshold on the z-scores of the weights."""

from torch import Tensor
from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.base import Threshold, z_scores
from fbn_exp.thresholds.config import Pole, ZThresholdConfig


class ZThreshold(ZThresholdConfig, Threshold):
    """Members have a weight more than ``value`` standard deviations above the mean, as in the paper.

    Examples
    --------
    >>> networks.masks(fbn.ZThreshold(1.96)).sum(dim=1)
    """

    @override
    def masks(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        return self._oriented(z_scores(maps)) > self.value

    @override
    def describe(self) -> str:
        rule = {Pole.positive: "z > ", Pole.negative: "z < -", Pole.both: "|z| > "}[self.pole]
        return f"{rule}{self.value:g}, {self._sides()}"
