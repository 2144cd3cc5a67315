"""Options of analyses: what measures networks, not the model."""

from dataclasses import dataclass

from omegaconf import MISSING

from fbn_exp.datasets.config import DatasetConfig


@dataclass
class AnalysisConfig:
    """What is measured of networks."""

    _target_: str = MISSING
    _convert_: str = "all"


@dataclass
class ConsistencyConfig(AnalysisConfig):
    """Whether networks recur in other texts, and more often than by chance."""

    _target_: str = "fbn_exp.analysis.consistency.Consistency"
    dataset: DatasetConfig = MISSING
    n_components: int = 10
    minimum_iou: float = 0.2
    null_draws: int = 200
    seed: int = 0


@dataclass
class OverlapConfig(AnalysisConfig):
    """How much two sets of networks over the same neurons overlap; ``other`` is a folder of networks."""

    _target_: str = "fbn_exp.analysis.overlap.Overlap"
    other: str = MISSING
    null_draws: int = 1000
    seed: int = 0


@dataclass
class ConnectivityConfig(AnalysisConfig):
    """How the time courses of networks go together."""

    _target_: str = "fbn_exp.analysis.connectivity.ConnectivityOfNetworks"
    dataset: DatasetConfig = MISSING
    draws: int = 1000
    seed: int = 0
