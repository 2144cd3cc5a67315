"""Interface of the config group ``reliability``: wrap a method so that its networks come with reliability."""

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
    """Reliability of networks over many fits.

    Attributes
    ----------
    statistics : mapping of str to Tensor of shape (K,), float64
        Statistics per network, in the order of the networks.
    metrics : mapping of str to float
        Summaries over all networks.
    similarity : Tensor of shape (estimates, estimates)
        |r| over neurons between all estimates of all runs.
    labels : Tensor of shape (estimates,), int64
        Network whose cluster each estimate belongs to.
    null : Tensor of shape (null networks,)
        Reproducibility under the null, of all surrogates; empty without a null.
    null_name : str
        Description of the null, in words.
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
    """Measure how reliable the networks of a method are."""

    uses_threshold: bool

    @abstractmethod
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        """Wrap a method in a decomposition whose networks replace those of the method.

        Parameters
        ----------
        method : Decomposition
            Method to wrap; neither fitted nor changed.
        threshold : Threshold
            Rule of membership, for the agreement of masks.
        """


class NoReliability(NoReliabilityConfig, Reliability):
    """One fit of the method, without measures of reliability."""

    uses_threshold = False

    @override
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        return method
