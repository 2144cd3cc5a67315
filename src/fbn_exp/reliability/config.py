"""Options of the config group ``reliability``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import FEWEST_DRAWS, LARGEST_COUNT, require, require_choice, require_count
from fbn_exp.core.errors import ConfigError


class Resample(StrEnum):
    """Source of variation between runs; ``both`` is half of the runs of each kind."""

    both = "both"
    starts = "starts"
    texts = "texts"


class Cluster(StrEnum):
    """Side of the estimates that is clustered; with ``auto`` the one that the method makes independent."""

    auto = "auto"
    sources = "sources"
    maps = "maps"


class Surrogate(StrEnum):
    """Null signals that reproducibility is compared with; with ``none`` there are no p values."""

    phase = "phase"
    shift = "shift"
    both = "both"
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
class SplitHalvesConfig(ReliabilityConfig):
    """Fits of halves of the texts beside the fit of all; a localizer compares halves of its texts itself.

    Attributes
    ----------
    splits : int
        Random splits of the texts into halves, each of which costs two fits.
    rotations : int
        Random rotations of both halves' networks, the null of their agreement; at least 99.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.reliability.halves.SplitHalves", kw_only=True, repr=False)
    splits: int = 3
    rotations: int = 999

    def __post_init__(self) -> None:
        require_count("reliability.splits", self.splits)
        require(self.rotations >= 99, "reliability.rotations", self.rotations, "be at least 99")
        require_count("reliability.rotations", self.rotations)


@dataclass
class IcassoConfig(ReliabilityConfig):
    """Many fits, clustered (Himberg, Hyvärinen & Esposito 2004); the centre of each cluster is a network.

    Attributes
    ----------
    runs : int
        Number of fits, each from a single random start; at least four with ``resample=both``, else three.
    resample : Resample
        ``starts`` fits all texts from new random starts; ``texts`` also draws texts with replacement, whose
        principal subspace is computed anew; ``both`` alternates between the two kinds of run and clusters
        them together.
    cluster : Cluster
        ``sources`` clusters time courses over all tokens, as Icasso does; ``maps`` clusters maps; ``auto``
        takes sources for temporal ICA, pca and random, and maps where the method works on maps.
    surrogate : Surrogate
        Null of the p values, drawn inside each text: ``phase`` randomises phases, alike in all neurons, which
        keeps covariances and makes the rest Gaussian; ``shift`` shifts every neuron by its own lag, which
        keeps each neuron's values and ends covariances (about three times as slow); ``both`` gives a p value
        for each; ``none`` leaves p values out.
    surrogates : int or None
        Null data sets of each kind, four runs each; None takes 19, the least.
    splits : int
        Random splits of the texts into halves.
    rotations : int
        Random rotations of both halves' networks, the null of their agreement; at least 99.
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
    cluster: Cluster = Cluster.auto
    surrogate: Surrogate = Surrogate.phase
    surrogates: int | None = None
    splits: int = 3
    rotations: int = 999
    orders: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resample = require_choice(Resample, "reliability.resample", self.resample)
        self.surrogate = require_choice(Surrogate, "reliability.surrogate", self.surrogate)
        self.cluster = require_choice(Cluster, "reliability.cluster", self.cluster)
        # two runs beside a network's own, and two of each kind
        least = 4 if self.resample is Resample.both else 3
        rule = f"be at least {least} with reliability.resample={self.resample}"
        require(self.runs >= least, "reliability.runs", self.runs, rule)
        require_count("reliability.runs", self.runs)
        if self.surrogates is not None:
            rule = (
                f"be at least {FEWEST_DRAWS}: fewer cannot give p = .05; reliability.surrogate=none "
                "leaves p values out"
            )
            require(self.surrogates >= FEWEST_DRAWS, "reliability.surrogates", self.surrogates, rule)
            require_count("reliability.surrogates", self.surrogates)
        require_count("reliability.splits", self.splits)
        require(self.rotations >= 99, "reliability.rotations", self.rotations, "be at least 99")
        require_count("reliability.rotations", self.rotations)
        if wrong := [order for order in self.orders if not 1 <= order <= LARGEST_COUNT]:
            raise ConfigError(
                f"reliability.orders holds {wrong[0]}, every order must be at least 1 and at most "
                f"{LARGEST_COUNT}"
            )
