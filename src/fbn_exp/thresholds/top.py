"""Threshold that takes a fixed fraction of all neurons."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.config import TopThresholdConfig


class TopFraction(TopThresholdConfig, Threshold):
    """Members are a fixed fraction of all neurons, those with the largest weights: networks of equal size.

    Examples
    --------
    >>> networks.masks(fbn.TopFraction(0.02)).sum(dim=1)
    """

    @override
    def masks(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        count = max(1, round(self.fraction * maps.shape[1]))
        chosen = self._oriented(maps).topk(count, dim=1).indices
        return torch.zeros(maps.shape, dtype=torch.bool).scatter_(1, chosen, True)

    @override
    def describe(self) -> str:
        return f"largest {self.fraction:.2%}, {self._sides()}"
