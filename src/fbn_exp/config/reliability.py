"""Options of the config group ``reliability``."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.config.choices import Resample, Surrogate


@dataclass
class ReliabilityConfig:
    """How reliable the networks are."""

    _target_: str = MISSING


@dataclass
class NoReliabilityConfig(ReliabilityConfig):
    """One fit, as the method does it."""

    _target_: str = "fbn_exp.reliability.base.NoReliability"


@dataclass
class IcassoConfig(ReliabilityConfig):
    """Many fits, clustered; the centre of each cluster is a network.

    ``surrogates`` null data sets give p values; without a number, as many as make 100 null networks.
    ``orders`` lists numbers of components for a model-order curve; empty is off.
    """

    _target_: str = "fbn_exp.reliability.icasso.Icasso"
    runs: int = 20
    resample: Resample = Resample.both
    surrogate: Surrogate = Surrogate.phase
    surrogates: int | None = None
    orders: list[int] = field(default_factory=list)
