"""Options of the config group ``method``."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_at_least, require_choice, require_positive


class Contrast(StrEnum):
    """FastICA's approximation of negentropy (Hyvärinen & Oja 2000, section 4.3)."""

    logcosh = "logcosh"
    exp = "exp"
    cube = "cube"


class Independence(StrEnum):
    """What independent component analysis makes independent: time courses or maps."""

    temporal = "temporal"
    spatial = "spatial"


@dataclass
class MethodConfig:
    """A decomposition of signals into networks.

    Attributes
    ----------
    n_components : int
        Number of networks K.
    seed : int
        Seed of every random choice; no global generator is touched.
    per_block : bool
        Each block by itself, ``n_components`` networks in each.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    n_components: int = 10
    seed: int = 0
    per_block: bool = False

    def __post_init__(self) -> None:
        require_at_least("method.n_components", self.n_components, 1)


@dataclass(kw_only=True)
class FixedPointConfig(MethodConfig):
    """FastICA's fixed point, from several random starts.

    Attributes
    ----------
    tolerance : float
        Converged when no row of the rotation turns by more: largest 1 − |cosine|.
    max_iterations : int
        Most steps of each start.
    restarts : int
        Number of random starts.
    """

    tolerance: float = 1e-4
    max_iterations: int = 400
    restarts: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("method.tolerance", self.tolerance)
        require_at_least("method.max_iterations", self.max_iterations, 1)
        require_at_least("method.restarts", self.restarts, 1)


@dataclass(kw_only=True)
class FastICAConfig(FixedPointConfig):
    """Independent component analysis, symmetric fixed point.

    Attributes
    ----------
    contrast : Contrast
        FastICA's approximation of negentropy.
    independence : Independence
        ``temporal``, as in the paper: tokens are samples, time courses are as independent as can be, maps
        are not constrained. ``spatial``, as usual for brains (McKeown et al. 1998): neurons are samples,
        maps are as independent as can be, time courses in general correlated.
    """

    _target_: str = field(default="fbn_exp.methods.fastica.FastICA", kw_only=True, repr=False)
    contrast: Contrast = Contrast.logcosh
    independence: Independence = Independence.temporal

    def __post_init__(self) -> None:
        super().__post_init__()
        self.contrast = require_choice(Contrast, "method.contrast", self.contrast)
        self.independence = require_choice(Independence, "method.independence", self.independence)


@dataclass(kw_only=True)
class CanICAConfig(FixedPointConfig):
    """Spatial independent components of what recurs across texts.

    Attributes
    ----------
    cca : bool
        Canonical correlation analysis across texts: loadings are stacked with norm 1, so that what recurs
        leads. Otherwise they are stacked with their singular values, so that what is strong leads.
    """

    _target_: str = field(default="fbn_exp.methods.canica.CanICA", kw_only=True, repr=False)
    cca: bool = True
    restarts: int = 10


@dataclass(kw_only=True)
class DictionaryConfig(MethodConfig):
    """Sparse dictionary learning, online solver.

    Attributes
    ----------
    alpha : float
        Penalty, in units of the median norm over neurons that are not silent, whatever the signals' scale.
        A neuron with a norm below alpha is in no network.
    tolerance : float
        The solver stops after the first pass once a step moves an atom by no more, in the mean.
    epochs : int
        Most passes over all neurons.
    batch_size : int
        Neurons in each step of the solver.
    """

    _target_: str = field(default="fbn_exp.methods.dictionary.DictionaryLearning", kw_only=True, repr=False)
    alpha: float = 1.0
    tolerance: float = 1e-4
    epochs: int = 5
    batch_size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.alpha < math.inf, "method.alpha", self.alpha, "be positive and finite")
        require_positive("method.tolerance", self.tolerance)
        require_at_least("method.epochs", self.epochs, 1)
        require_at_least("method.batch_size", self.batch_size, 1)


@dataclass
class PCAConfig(MethodConfig):
    """Principal components: what whitening alone finds."""

    _target_: str = field(default="fbn_exp.methods.pca.PCA", kw_only=True, repr=False)


@dataclass
class RandomConfig(MethodConfig):
    """A random rotation of the principal subspace: ICA without learning."""

    _target_: str = field(default="fbn_exp.methods.random.RandomRotation", kw_only=True, repr=False)
