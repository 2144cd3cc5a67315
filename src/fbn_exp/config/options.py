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

    ``name`` is a hub id, a local folder, a ``.gguf`` file, ``package:<module>/<file>.gguf`` for a
    file inside an installed Python package, or ``random:<model_type>`` for random weights.
    """

    name: str = MISSING
    revision: str | None = None
    dtype: Precision = Precision.auto
    device: str = "auto"
    # accelerate's placement of a model that no device holds alone: auto, balanced, sequential, or a mapping
    # of module names to devices (0, cpu, disk)
    device_map: Any = None
    quantization: Quantization = Quantization.none
    trust_remote_code: bool = False
    # site name -> module path with * for the block's index, for architectures that are not known
    paths: dict[str, str] = field(default_factory=dict)
    # arguments of the model's configuration class, for name=random:<model_type> only
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
    """A data set of the Hugging Face hub, or a local folder in the same format.

    ``field`` names the column with the text, ``label_field`` that with the label, if there is one;
    ``hub_split`` says which of the data set's own splits stands for train, dev and test.
    """

    _target_: str = "fbn_exp.datasets.hub.HubDataset"
    path: str = MISSING
    config: str | None = None
    revision: str | None = None
    field: str = "text"
    label_field: str | None = None
    hub_split: dict[str, str] = MISSING


@dataclass
class FilesDatasetConfig(DatasetConfig):
    """Local txt, jsonl, csv or parquet files; ``field`` and ``label_field`` name columns."""

    _target_: str = "fbn_exp.datasets.files.FilesDataset"
    paths: list[str] = MISSING
    field: str = "text"
    label_field: str | None = None
    encoding: str = "utf-8"
    split: Split = Split.all


@dataclass
class SignalsConfig:
    """How activations become signals."""

    first_tokens_excluded: int = 0
    standardise: Standardise = Standardise.none
    batch_tokens: int = 2048
    # accelerator (beside the model), memory (up to the budget), disk (a mapped file in the run's folder)
    storage: Storage = Storage.auto
    memory_budget_gb: float = 4.0


@dataclass
class MethodConfig:
    """A decomposition of signals into networks."""

    _target_: str = MISSING
    n_components: int = 10
    seed: int = 0
    # each block by itself, n_components networks in each
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
    """Pictures of the networks; above ``max_networks`` only the largest are drawn one by one."""

    max_networks: int = 32
    dpi: int = 110
    strongest_tokens: int = 10
    context_tokens: int = 8
