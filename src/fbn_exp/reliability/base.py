"""What a choice of the config group ``reliability`` does: it stands between a method and its networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from typing_extensions import override

from fbn_exp.methods.base import Decomposition
from fbn_exp.reliability.config import NoReliabilityConfig
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class ReliabilityReport:
    """What many fits say about networks.

    Attributes
    ----------
    statistics : mapping of str to Tensor of shape (K,), float64
        Numbers per network, in the order of the networks.
    metrics : mapping of str to float
        Numbers about all networks together.
    similarity : Tensor of shape (estimates, estimates)
        |r| over neurons between all estimates of all runs.
    labels : Tensor of shape (estimates,), int64
        Network to whose cluster each estimate belongs.
    null : Tensor of shape (null networks,)
        Reproducibility under the null, of all surrogates; empty without a null.
    null_name : str
        What the null is, in words.
    orders : tuple of mapping
        One row per number of components of the model-order curve.
    """

    statistics: Mapping[str, Tensor]
    metrics: Mapping[str, float]
    similarity: Tensor
    labels: Tensor
    null: Tensor
    null_name: str
    orders: tuple[Mapping[str, float], ...] = field(default=())


class Reliability(ABC):
    """A way to tell reliable networks from others."""

    uses_threshold: bool

    @abstractmethod
    def around(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        """The decomposition whose networks are reported in the place of the method's own.

        Parameters
        ----------
        method : Decomposition
            What finds networks; not fitted, and not changed.
        threshold : Threshold
            Which neurons are members, where agreement of masks is asked.
        """


class NoReliability(NoReliabilityConfig, Reliability):
    """One fit of the method, and no statement about it."""

    uses_threshold = False

    @override
    def around(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        return method
