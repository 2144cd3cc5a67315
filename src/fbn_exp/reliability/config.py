"""Options of the config group ``reliability``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import LARGEST_COUNT, require, require_choice, require_count
from fbn_exp.core.errors import ConfigError


class Resample(StrEnum):
    """Source of variation between runs; ``both`` is half of the runs of each kind."""

    both = "both"
    starts = "starts"
    texts = "texts"


class Surrogate(StrEnum):
    """Null signals that reproducibility is compared with; with ``none`` there are no p values."""

    phase = "phase"
    shift = "shift"
    none = "none"


@dataclass
class ReliabilityConfig:
    """Reliability of the networks."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class NoReliabilityConfig(ReliabilityConfig):
    """One fit of the method, without measures of reliability."""

    _target_: str = field(default="fbn_exp.reliability.base.NoReliability", kw_only=True, repr=False)


@dataclass
class IcassoConfig(ReliabilityConfig):
    """Many fits, clustered (Himberg, Hyvärinen & Esposito 2004); the centre of each cluster is a network.

    Attributes
    ----------
    runs : int
        Number of fits, each from a single random start; at least two of each kind.
    resample : Resample
        ``starts`` fits all texts from new random starts; ``texts`` also draws texts with replacement;
        ``both`` alternates between the two kinds of run and clusters them together.
    surrogate : Surrogate
        Null of the p values: ``phase`` randomises the phases of the signals, alike in all neurons; ``shift``
        shifts every neuron by its own lag; ``none`` leaves p values out.
    surrogates : int or None
        Null data sets, each of which costs as much as the runs; None takes enough for 100 null networks.
    orders : list of int
        Numbers of components of a model-order curve, each of which costs as much as the runs; empty is off.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.reliability.icasso.Icasso", kw_only=True, repr=False)
    runs: int = 20
    resample: Resample = Resample.both
    surrogate: Surrogate = Surrogate.phase
    surrogates: int | None = None
    orders: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resample = require_choice(Resample, "reliability.resample", self.resample)
        self.surrogate = require_choice(Surrogate, "reliability.surrogate", self.surrogate)
        # agreement needs at least two runs of each kind
        least = 4 if self.resample is Resample.both else 2
        rule = f"be at least {least} with reliability.resample={self.resample}"
        require(self.runs >= least, "reliability.runs", self.runs, rule)
        require_count("reliability.runs", self.runs)
        if self.surrogates is not None:
            rule = "be at least 1; reliability.surrogate=none leaves p values out"
            require(self.surrogates >= 1, "reliability.surrogates", self.surrogates, rule)
            require_count("reliability.surrogates", self.surrogates)
        if wrong := [order for order in self.orders if not 1 <= order <= LARGEST_COUNT]:
            raise ConfigError(
                f"reliability.orders holds {wrong[0]}, every order must be at least 1 and at most "
                f"{LARGEST_COUNT}"
            )
