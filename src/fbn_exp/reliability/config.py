"""Options of the config group ``reliability``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING


class Resample(StrEnum):
    """What differs between the runs of a reliability analysis; ``both`` is half the runs of each kind."""

    both = "both"
    starts = "starts"
    texts = "texts"


class Surrogate(StrEnum):
    """Null signals that reproducibility is compared with; ``none`` computes no p value."""

    phase = "phase"
    shift = "shift"
    none = "none"


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

    Attributes
    ----------
    surrogate : Surrogate
        Null of the p values: ``phase`` randomises the phases of the signals, alike in all neurons, ``shift``
        moves every neuron by its own lag, ``none`` computes none.
    surrogates : int or None
        Null data sets, each of which costs as much as the runs; None takes as many as give 100 null networks.
    orders : list of int
        Numbers of components of a model-order curve, each of which costs as much as the runs; empty is off.
    """

    _target_: str = "fbn_exp.reliability.icasso.Icasso"
    runs: int = 20
    resample: Resample = Resample.both
    surrogate: Surrogate = Surrogate.phase
    surrogates: int | None = None
    orders: list[int] = field(default_factory=list)
