"""Take a fraction of all neurons."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ConfigError
from fbn_exp.thresholds.base import Threshold


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
