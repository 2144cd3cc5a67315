"""Base class of all sources of text: a reproducible sample of tokenised texts from their documents."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from tqdm import tqdm

from fbn_exp.core.errors import DatasetError
from fbn_exp.core.rows import Rows
from fbn_exp.datasets.config import DatasetConfig, Split
from fbn_exp.datasets.tokenise import first_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# documents tokenised at once: enough to keep the tokenizer busy, few enough to waste little
BATCH_DOCUMENTS = 64
BAR: dict[str, Any] = {"desc": "tokenising", "leave": False, "mininterval": 0.5}


@dataclass(frozen=True)
class Document:
    """One text, its origin, such as ``wikipedia_5.jsonl line 12``, and its label if it has one.

    Attributes
    ----------
    whole : str or None
        The text that this one was cut out of or made from, whose split it belongs to; None for a whole text.

    Raises
    ------
    DatasetError
        If text or label holds half of a surrogate pair, which no tokenizer reads and no file can hold.
    """

    text: str
    origin: str
    label: str | None = None
    whole: str | None = None

    def __post_init__(self) -> None:
        for kind, value in (("text", self.text), ("label", self.label or "")):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise DatasetError(
                    f"{self.origin}: character {error.start + 1} of the {kind} is "
                    f"\\u{ord(value[error.start]):04x}, half of a surrogate pair: remove or replace it"
                ) from error

    @property
    def source_text(self) -> str:
        """Text that decides the split, and whether two samples share a document."""
        return self.text if self.whole is None else self.whole


@dataclass(frozen=True)
class TokenisedText:
    """The first tokens of a document."""

    ids: tuple[int, ...]
    document: Document


@dataclass(frozen=True, repr=False)
class Texts:
    """Sampled texts with token ids, in a fixed order.

    Parameters
    ----------
    items : tuple of TokenisedText
        The sampled texts.
    dropped_short : int
        Number of documents dropped because they were empty or had too few tokens.
    dropped_duplicate : int
        Number of documents dropped because an earlier text had the same token ids.
    source : str
        Description of the source.
    """

    items: tuple[TokenisedText, ...]
    dropped_short: int = 0
    dropped_duplicate: int = 0
    source: str = "texts given in Python"

    def __repr__(self) -> str:
        return f"Texts({len(self)} texts, {self.n_tokens:,} tokens from {self.source})"

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def ids(self) -> list[list[int]]:
        """Token ids of each text."""
        return [list(item.ids) for item in self.items]

    @cached_property
    def documents(self) -> list[Document]:
        """The whole document behind each text."""
        return [item.document for item in self.items]

    @cached_property
    def lengths(self) -> list[int]:
        """Number of tokens of each text."""
        return [len(item.ids) for item in self.items]

    def rows(self, skipped: int = 0) -> Rows:
        """Rows of signals recorded from these texts, without the first ``skipped`` tokens of each text."""
        lengths = [max(0, length - skipped) for length in self.lengths]
        return Rows(lengths, skipped, [document.label for document in self.documents])

    @cached_property
    def text_digests(self) -> frozenset[str]:
        """Short digest of each whole document, to detect documents shared by two samples."""
        return frozenset(text_digest(document.source_text) for document in self.documents)

    @property
    def n_tokens(self) -> int:
        """Number of tokens in all texts."""
        return sum(self.lengths)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over token ids and text boundaries, in hexadecimal."""
        boundaries = self.rows().offsets.astype("<i8")
        tokens = np.array([token for item in self.items for token in item.ids], dtype="<i8")
        return hashlib.sha256(boundaries.tobytes() + tokens.tobytes()).hexdigest()


def text_digest(text: str) -> str:
    """Short digest of the text of a whole document."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def label_text(value: Any, field: str, origin: str) -> str | None:
    """Convert a label to a string; a null or empty value counts as no label.

    Parameters
    ----------
    value : Any
        Value of the label column in one row.
    field, origin : str
        Column and row, for the error message.

    Raises
    ------
    DatasetError
        If the value is neither text nor a number.
    """
    if not isinstance(value, str | int | float | None):
        raise DatasetError(
            f"dataset.label_field: {field!r} of {origin} is neither text nor a number but "
            f"{type(value).__name__}"
        )
    return None if value is None or value == "" else str(value)


class TextDataset(DatasetConfig, ABC):
    """A source of documents, with the settings of a sample from it."""

    @abstractmethod
    def documents(self) -> Iterator[Document]:
        """Yield all documents of the chosen split, in the order of the source."""

    @property
    @abstractmethod
    def name(self) -> str:
        """One word for the source, as part of metric names."""

    @abstractmethod
    def describe(self) -> str:
        """Name the source and the split in a few words."""

    def shortened(self, n_texts: int, tokens_per_text: int) -> Self:
        """Copy that samples so many texts, of so many tokens at most; no text is too short for it alone."""
        tokens = min(tokens_per_text, self.tokens_per_text)
        return replace(self, n_texts=n_texts, tokens_per_text=tokens, min_tokens=min(self.min_tokens, tokens))

    def sample(self, tokenizer: "PreTrainedTokenizerBase", labels: Collection[str] = ()) -> Texts:
        """Shuffle the documents, drop unusable ones, and take the first ``n_texts``.

        Parameters
        ----------
        tokenizer : PreTrainedTokenizerBase
            Used with its default special tokens; only as many documents are tokenised as needed.
        labels : collection of str
            Take only documents with one of these labels; if empty, take all, labelled or not.

        Returns
        -------
        Texts
            The same for the same parameters and tokenizer. Fewer than ``n_texts``, with a warning
            in the log, if the source has no more. Duplicates are texts with equal token ids after the cut.

        Raises
        ------
        DatasetError
            If no document is usable, no document has one of the labels, or the source cannot be read.
        """
        documents = list(self._pieces(self._labelled(list(self.documents()), labels), tokenizer))
        order = np.random.default_rng(self.seed).permutation(len(documents))
        kept: dict[tuple[int, ...], TokenisedText] = {}
        short = duplicate = 0
        shuffled = [documents[index] for index in order]
        # shows at once that a large corpus is read, which may end before its last text
        bar = tqdm(self._tokenised(shuffled, tokenizer), total=self._most(shuffled), unit=" texts", **BAR)
        for text in bar:
            if not text.document.text.strip() or len(text.ids) < self.min_tokens:
                short += 1
            elif text.ids in kept:
                duplicate += 1
            else:
                kept[text.ids] = text
                if len(kept) == self.n_texts:
                    break
        bar.close()
        texts = Texts(tuple(kept.values()), short, duplicate, source=self.describe())
        self._check_enough(texts, n_read=len(documents))
        return texts

    def _pieces(
        self, documents: Sequence[Document], tokenizer: "PreTrainedTokenizerBase"
    ) -> Iterable[Document]:
        """Divide documents by their tokens; here each stays whole."""
        return documents

    def _labelled(self, documents: list[Document], labels: Collection[str]) -> list[Document]:
        """Select documents with one of the labels; a label that no document has is an error."""
        known = {document.label for document in documents if document.label is not None}
        if missing := [label for label in labels if label not in known]:
            raise DatasetError(
                f"no text of {self.describe()} is labelled {', '.join(missing)}; "
                f"its labels: {', '.join(sorted(known)[:20]) or 'none, set dataset.label_field'}"
            )
        return [document for document in documents if document.label in labels] if labels else documents

    def _most(self, documents: Sequence[Document]) -> int:
        """Number of texts that suffice, if all of them are usable."""
        return len(documents) if self.n_texts is None else min(self.n_texts, len(documents))

    def _tokenised(
        self, documents: Sequence[Document], tokenizer: "PreTrainedTokenizerBase"
    ) -> Iterator[TokenisedText]:
        """Tokenise lazily, batch by batch."""
        for start in range(0, len(documents), BATCH_DOCUMENTS):
            batch = documents[start : start + BATCH_DOCUMENTS]
            ids_of_texts = first_tokens([each.text for each in batch], tokenizer, self.tokens_per_text)
            for ids, document in zip(ids_of_texts, batch, strict=True):
                yield TokenisedText(ids, document)

    def _check_enough(self, texts: Texts, n_read: int) -> None:
        """Raise an error if no text is left; log a warning if there are fewer than requested."""
        if not texts.items:
            raise DatasetError(
                f"no usable text in {self.describe()}: {n_read} documents were read, {texts.dropped_short} "
                f"of them are empty or shorter than {self.min_tokens} tokens; set a lower "
                f"dataset.min_tokens or another dataset.split ({', '.join(part.value for part in Split)})"
            )
        if self.n_texts is not None and len(texts) < self.n_texts:
            logger.warning(
                "dataset.n_texts=%d, but only %d usable texts are in %s: of %d documents, %d are empty or "
                "shorter than %d tokens and %d are duplicates",
                self.n_texts,
                len(texts),
                self.describe(),
                n_read,
                texts.dropped_short,
                self.min_tokens,
                texts.dropped_duplicate,
            )
