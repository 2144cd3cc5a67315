"""Interface of the config group ``reliability``: wrap a method so that its networks come with reliability."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.methods.base import Decomposition
from fbn_exp.networks.surrogates import upper_p_value
from fbn_exp.reliability.config import NoReliabilityConfig
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class SurrogateNull:
    """Reproducibility of the networks of surrogate signals.

    Attributes
    ----------
    name : str
        Kind of surrogate.
    description : str
        What the surrogate keeps and destroys, in words.
    reproducibility : Tensor of shape (R, K)
        Of the networks of each surrogate.
    """

    name: str
    description: str
    reproducibility: Tensor

    @property
    def largest(self) -> Tensor:
        """Reproducibility of the most reproducible network of each surrogate, shape (R,)."""
        return self.reproducibility.amax(dim=1)

    def p_values(self, observed: Tensor) -> Tensor:
        """One-sided p of networks (K,): see ``fbn_exp.reliability.nulls.surrogate_null``."""
        return torch.from_numpy(upper_p_value(observed.numpy(), self.largest[:, None].numpy()))


@dataclass(frozen=True, eq=False)
class ReliabilityReport:
    """Reliability of networks over many fits.

    Attributes
    ----------
    statistics : mapping of str to Tensor of shape (K,), float64
        Statistics per network, in the order of the networks.
    metrics : mapping of str to float
        Summaries over all networks.
    clustered : str
        What is clustered and compared between runs: ``sources`` or ``maps``.
    similarity : Tensor of shape (estimates, estimates)
        |r| between these of all estimates of all runs.
    labels : Tensor of shape (estimates,), int64
        Network whose cluster each estimate belongs to.
    nulls : tuple of SurrogateNull
        One per kind of surrogate; empty without a null.
    orders : tuple of mapping
        One row per number of components of the model-order curve.
    """

    statistics: Mapping[str, Tensor]
    metrics: Mapping[str, float]
    clustered: str
    similarity: Tensor
    labels: Tensor
    nulls: tuple[SurrogateNull, ...]
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
