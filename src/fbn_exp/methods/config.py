"""Options of the config group ``method``."""

from dataclasses import dataclass
from enum import StrEnum

from omegaconf import MISSING


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
    per_block : bool
        Each block by itself, ``n_components`` networks in each.
    """

    _target_: str = MISSING
    n_components: int = 10
    seed: int = 0
    per_block: bool = False


@dataclass
class FastICAConfig(MethodConfig):
    """Independent component analysis, symmetric fixed point."""

    _target_: str = "fbn_exp.methods.fastica.FastICA"
    contrast: Contrast = Contrast.logcosh
    tolerance: float = 1e-4
    max_iterations: int = 400
    restarts: int = 3
    independence: Independence = Independence.temporal


@dataclass
class CanICAConfig(MethodConfig):
    """Spatial independent components of what recurs across texts."""

    _target_: str = "fbn_exp.methods.canica.CanICA"
    cca: bool = True
    tolerance: float = 1e-4
    max_iterations: int = 400
    restarts: int = 10


@dataclass
class DictionaryConfig(MethodConfig):
    """Sparse dictionary learning, online solver."""

    _target_: str = "fbn_exp.methods.dictionary.DictionaryLearning"
    alpha: float = 1.0
    tolerance: float = 1e-4
    epochs: int = 5
    batch_size: int = 256


@dataclass
class PCAConfig(MethodConfig):
    """Principal components: what whitening alone finds."""

    _target_: str = "fbn_exp.methods.pca.PCA"


@dataclass
class RandomConfig(MethodConfig):
    """A random rotation of the principal subspace: ICA without learning."""

    _target_: str = "fbn_exp.methods.random.RandomRotation"
