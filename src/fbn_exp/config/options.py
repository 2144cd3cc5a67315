"""One dataclass per option of a config group, inheriting from the base of its group."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from fbn_exp.config.choices import (
    Contrast,
    Independence,
    Precision,
    Quantization,
    Split,
    Standardise,
    Storage,
    WandbMode,
)


@dataclass
class ModelConfig:
    """A causal language model and how to load it.

    Attributes
    ----------
    name : str
        A hub id, a local folder, a ``.gguf`` file, ``package:<module>/<file>.gguf`` for a file inside an
        installed Python package, or ``random:<model_type>`` for random weights.
    revision : str or None
        Branch, tag or commit on the hub.
    dtype : Precision
        Number format of the weights; ``auto`` takes bfloat16 where the hardware is good at it. Signals are
        float32 whatever it is.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ….
    device_map : str or mapping or None
        accelerate's placement of a model that no device holds alone: ``auto``, ``balanced``, ``sequential``,
        or a mapping of module names to devices (``0``, ``cpu``, ``disk``).
    quantization : Quantization
        How weights are stored: as they are, or in 8 or 4 bits (bitsandbytes, on a GPU).
    trust_remote_code : bool
        Whether code that comes with the weights is run; the log says so.
    paths : mapping of str to str
        Module path of a site, with ``*`` for the block's index, for architectures that are not known.
    random : mapping
        Arguments of the model's configuration class, for ``name=random:<model_type>`` only.
    """

    name: str = MISSING
    revision: str | None = None
    dtype: Precision = Precision.auto
    device: str = "auto"
    device_map: Any = None
    quantization: Quantization = Quantization.none
    trust_remote_code: bool = False
    paths: dict[str, str] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)


@dataclass
class DatasetConfig:
    """Which texts, how many, and how many tokens of each."""

    _target_: str = MISSING
    n_texts: int | None = 100
    tokens_per_text: int = 128
    min_tokens: int = 16
    split: Split = Split.train
    seed: int = 0


@dataclass
class EmbeddedDatasetConfig(DatasetConfig):
    """A corpus that an installed Python package carries."""

    _target_: str = "fbn_exp.datasets.embedded.EmbeddedDataset"
    corpus: str = MISSING


@dataclass
class HubDatasetConfig(DatasetConfig):
    """A data set of the Hugging Face hub, or a local folder in the same format."""

    _target_: str = "fbn_exp.datasets.hub.HubDataset"
    path: str = MISSING
    config: str | None = None
    revision: str | None = None
    field: str = "text"
    label_field: str | None = None
    hub_split: dict[str, str] = MISSING


@dataclass
class FilesDatasetConfig(DatasetConfig):
    """Local txt, jsonl, csv or parquet files."""

    _target_: str = "fbn_exp.datasets.files.FilesDataset"
    paths: list[str] = MISSING
    field: str = "text"
    label_field: str | None = None
    encoding: str = "utf-8"
    split: Split = Split.all


@dataclass
class SignalsConfig:
    """How activations become signals.

    Attributes
    ----------
    first_tokens_excluded : int
        Tokens at the start of each text that are left out: attention sinks sit there.
    standardise : Standardise
        ``zscore`` gives every neuron mean 0 and variance 1 over tokens, ``row_l2`` every token norm 1.
    batch_tokens : int
        Tokens of a batch while recording, padding included.
    storage : Storage
        Where signals are kept: ``accelerator`` (beside the model), ``memory`` (up to the budget), ``disk`` (a
        mapped file in the run's folder); ``auto`` takes the first of these that has room.
    memory_budget_gb : float
        Largest signals that ``auto`` keeps in memory.
    """

    first_tokens_excluded: int = 0
    standardise: Standardise = Standardise.none
    batch_tokens: int = 2048
    storage: Storage = Storage.auto
    memory_budget_gb: float = 4.0


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


@dataclass
class ThresholdConfig:
    """Which neurons belong to a network."""

    _target_: str = MISSING


@dataclass
class ZThresholdConfig(ThresholdConfig):
    """Weights standardised over neurons exceed ``value``."""

    _target_: str = "fbn_exp.thresholds.ZThreshold"
    value: float = 1.96
    two_sided: bool = False


@dataclass
class TopThresholdConfig(ThresholdConfig):
    """The given fraction of neurons with the largest weights."""

    _target_: str = "fbn_exp.thresholds.TopFraction"
    fraction: float = 0.02
    two_sided: bool = False


@dataclass
class FDRThresholdConfig(ThresholdConfig):
    """False-discovery rate against a robust normal null."""

    _target_: str = "fbn_exp.thresholds.FalseDiscoveryRate"
    rate: float = 0.05
    two_sided: bool = False


@dataclass
class TrackingConfig:
    """Where metrics, tables, pictures and networks are logged."""

    _target_: str = MISSING


@dataclass
class NoTrackingConfig(TrackingConfig):
    """Log nowhere; the run folder holds everything anyway."""

    _target_: str = "fbn_exp.tracking.NoTracker"


@dataclass
class WandbConfig(TrackingConfig):
    """Weights & Biases."""

    _target_: str = "fbn_exp.tracking.WandbTracker"
    mode: WandbMode = WandbMode.offline
    project: str = "fbn_exp"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class FiguresConfig:
    """Pictures and tables of the networks.

    Attributes
    ----------
    max_networks : int
        Above this number only the largest networks are drawn one by one.
    dpi : int
        Resolution of the pictures.
    strongest_tokens : int
        Tokens that are listed for each network.
    context_tokens : int
        Tokens shown before and after each of them.
    """

    max_networks: int = 32
    dpi: int = 110
    strongest_tokens: int = 10
    context_tokens: int = 8
