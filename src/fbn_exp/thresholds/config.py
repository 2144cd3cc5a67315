"""Options of the config group ``threshold``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_choice, require_positive


class Pole(StrEnum):
    """Side of a map that holds members: weights above the bulk, below it, or on either side."""

    positive = "positive"
    negative = "negative"
    both = "both"


@dataclass
class ThresholdConfig:
    """A rule that decides which neurons are members of a network.

    Attributes
    ----------
    pole : Pole
        ``positive``, as in the paper: neurons that go up where the time course does, on the side of the map's
        heavier tail; ``negative``: those that go down there; ``both``: either.

    Raises
    ------
    ConfigError
        If there is no such pole.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    pole: Pole = field(default=Pole.positive, kw_only=True)

    def __post_init__(self) -> None:
        self.pole = require_choice(Pole, "threshold.pole", self.pole)


@dataclass
class ZThresholdConfig(ThresholdConfig):
    """Members have a weight more than ``value`` standard deviations above the mean, as in the paper.

    Attributes
    ----------
    value : float
        Threshold on the z-score, positive, with the sign of the pole; 1.96 and 3.6 in the authors' code.

    Raises
    ------
    ConfigError
        If ``value`` is not positive.
    """

    _target_: str = field(default="fbn_exp.thresholds.z.ZThreshold", kw_only=True, repr=False)
    value: float = 1.96

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("threshold.value", self.value)


@dataclass
class TopThresholdConfig(ThresholdConfig):
    """Members are a fixed fraction of all neurons, those with the largest weights: networks of equal size.

    Attributes
    ----------
    fraction : float
        Fraction, above 0 and at most 1; a network has at least one member.

    Raises
    ------
    ConfigError
        If ``fraction`` is out of range.
    """

    _target_: str = field(default="fbn_exp.thresholds.top.TopFraction", kw_only=True, repr=False)
    fraction: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.fraction <= 1, "threshold.fraction", self.fraction, "be above 0 and at most 1")


@dataclass
class MixtureThresholdConfig(ThresholdConfig):
    """Members belong to the tails of a normal and two gammas, if the map has tails (MELODIC).

    Attributes
    ----------
    posterior : float
        Probability of belonging to a tail that a member exceeds, between 0 and 1.

    Raises
    ------
    ConfigError
        If ``posterior`` is out of range.
    """

    _target_: str = field(default="fbn_exp.thresholds.mixture.MixtureThreshold", kw_only=True, repr=False)
    posterior: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.posterior < 1, "threshold.posterior", self.posterior, "lie between 0 and 1")


@dataclass
class FDRThresholdConfig(ThresholdConfig):
    """Members stand out of a robust normal null per block, at a false-discovery rate.

    Attributes
    ----------
    rate : float
        Expected share of false members among all members, between 0 and 1.

    Raises
    ------
    ConfigError
        If ``rate`` is out of range.
    """

    _target_: str = field(default="fbn_exp.thresholds.fdr.FalseDiscoveryRate", kw_only=True, repr=False)
    rate: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.rate < 1, "threshold.rate", self.rate, "lie between 0 and 1")
