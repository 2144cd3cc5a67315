"""One dataclass per benchmark that measures networks instead of scoring a model."""

from dataclasses import dataclass

from omegaconf import MISSING

from fbn_exp.config.options import DatasetConfig
from fbn_exp.config.scoring import BenchmarkConfig


@dataclass
class ConsistencyConfig(BenchmarkConfig):
    """Whether networks recur in other texts, and more often than by chance."""

    _target_: str = "fbn_exp.benchmarks.consistency.Consistency"
    dataset: DatasetConfig = MISSING
    n_components: int = 10
    minimum_iou: float = 0.2
    null_draws: int = 200
    seed: int = 0


@dataclass
class OverlapConfig(BenchmarkConfig):
    """How much two sets of networks over the same neurons overlap; ``other`` is a folder of networks."""

    _target_: str = "fbn_exp.benchmarks.overlap.Overlap"
    other: str = MISSING
    null_draws: int = 1000
    seed: int = 0


@dataclass
class ConnectivityConfig(BenchmarkConfig):
    """How the time courses of networks go together."""

    _target_: str = "fbn_exp.benchmarks.connectivity.ConnectivityOfNetworks"
    dataset: DatasetConfig = MISSING
    draws: int = 1000
    seed: int = 0
