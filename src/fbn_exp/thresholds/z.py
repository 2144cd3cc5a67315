"""Cut the z-scores of the weights."""

from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ConfigError
from fbn_exp.thresholds.base import Threshold, z_scores


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
