"""Options of the config group ``threshold``."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_positive


@dataclass
class ThresholdConfig:
    """A rule that decides which neurons are members of a network."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class ZThresholdConfig(ThresholdConfig):
    """Members have a weight more than ``value`` standard deviations above the mean, as in the paper.

    Attributes
    ----------
    value : float
        Threshold on the z-score, positive; 1.96 and 3.6 in the authors' code.
    two_sided : bool
        Apply the threshold to the magnitude of the z-score.

    Raises
    ------
    ConfigError
        If ``value`` is not positive.
    """

    _target_: str = field(default="fbn_exp.thresholds.z.ZThreshold", kw_only=True, repr=False)
    value: float = 1.96
    two_sided: bool = False

    def __post_init__(self) -> None:
        require_positive("threshold.value", self.value)


@dataclass
class TopThresholdConfig(ThresholdConfig):
    """Members are a fixed fraction of all neurons, those with the largest weights: networks of equal size.

    Attributes
    ----------
    fraction : float
        Fraction, above 0 and at most 1; a network has at least one member.
    two_sided : bool
        Rank neurons by the magnitude of their weights.

    Raises
    ------
    ConfigError
        If ``fraction`` is out of range.
    """

    _target_: str = field(default="fbn_exp.thresholds.top.TopFraction", kw_only=True, repr=False)
    fraction: float = 0.02
    two_sided: bool = False

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "threshold.fraction", self.fraction, "be above 0 and at most 1")


@dataclass
class FDRThresholdConfig(ThresholdConfig):
    """Members stand out of a robust normal null at a false-discovery rate (Benjamini & Hochberg 1995).

    Attributes
    ----------
    rate : float
        Expected share of false members among all members, between 0 and 1.
    two_sided : bool
        Test both tails.

    Raises
    ------
    ConfigError
        If ``rate`` is out of range.
    """

    _target_: str = field(default="fbn_exp.thresholds.fdr.FalseDiscoveryRate", kw_only=True, repr=False)
    rate: float = 0.05
    two_sided: bool = False

    def __post_init__(self) -> None:
        require(0 < self.rate < 1, "threshold.rate", self.rate, "lie between 0 and 1")
