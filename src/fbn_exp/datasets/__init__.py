"""Text from a corpus, a hub data set or files, sampled and turned into token ids."""

from fbn_exp.datasets.base import Document, TextDataset, Texts, TokenisedText
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.datasets.files import FilesDataset
from fbn_exp.datasets.hub import HubDataset

__all__ = [
    "Document",
    "EmbeddedDataset",
    "FilesDataset",
    "HubDataset",
    "TextDataset",
    "Texts",
    "TokenisedText",
]
