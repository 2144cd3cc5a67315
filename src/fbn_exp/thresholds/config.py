"""Options of the config group ``threshold``."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class ThresholdConfig:
    """Which neurons belong to a network."""

    _target_: str = MISSING


@dataclass
class ZThresholdConfig(ThresholdConfig):
    """Weights standardised over neurons exceed ``value``."""

    _target_: str = "fbn_exp.thresholds.z.ZThreshold"
    value: float = 1.96
    two_sided: bool = False


@dataclass
class TopThresholdConfig(ThresholdConfig):
    """The given fraction of neurons with the largest weights."""

    _target_: str = "fbn_exp.thresholds.top.TopFraction"
    fraction: float = 0.02
    two_sided: bool = False


@dataclass
class FDRThresholdConfig(ThresholdConfig):
    """False-discovery rate against a robust normal null."""

    _target_: str = "fbn_exp.thresholds.fdr.FalseDiscoveryRate"
    rate: float = 0.05
    two_sided: bool = False
