"""The data set that joins the texts of several conditions."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from fbn_exp.core.errors import DatasetError
from fbn_exp.datasets.base import Document, TextDataset, Texts, TokenisedText
from fbn_exp.datasets.conditions.config import ConditionsConfig
from fbn_exp.datasets.config import Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Conditions(ConditionsConfig, TextDataset):
    """Several data sets, the conditions of an experiment; every text is labelled with its condition."""

    @override
    def sample(self, tokenizer: "PreTrainedTokenizerBase", labels: Collection[str] = ()) -> Texts:
        """Sample every condition, or those that are named by ``labels``, and label its texts.

        Raises
        ------
        DatasetError
            If there is no such condition, or one of them has no usable text.
        """
        if missing := [label for label in labels if label not in self.conditions]:
            raise DatasetError(
                f"dataset.conditions has no {', '.join(missing)}; there are: {', '.join(self.conditions)}"
            )
        parts = {
            name: self._part(name).sample(tokenizer)
            for name in self.conditions
            if not labels or name in labels
        }
        return Texts(
            tuple(
                TokenisedText(item.ids, _labelled(item.document, name))
                for name, part in parts.items()
                for item in part.items
            ),
            sum(part.dropped_short for part in parts.values()),
            sum(part.dropped_duplicate for part in parts.values()),
            "; ".join(f"{name}: {part.source}" for name, part in parts.items()),
        )

    def documents(self) -> Iterator[Document]:
        """Yield the documents of all conditions, one condition after the other."""
        for name in self.conditions:
            for document in self._part(name).documents():
                yield _labelled(document, name)

    def _part(self, name: str) -> TextDataset:
        """Data set of a condition, with the settings that all conditions share."""
        part = cast(TextDataset, self.conditions[name])
        tokens = min(part.tokens_per_text, self.tokens_per_text)
        return replace(
            part,
            n_texts=self.n_texts,
            tokens_per_text=tokens,
            min_tokens=min(tokens, max(part.min_tokens, self.min_tokens)),
            split=part.split if part.split is Split.all else self.split,
            seed=self.seed,
        )

    @property
    def name(self) -> str:
        """The constant ``conditions``."""
        return "conditions"

    def describe(self) -> str:
        """Name the conditions with their sources."""
        return "; ".join(f"{name}: {self._part(name).describe()}" for name in self.conditions)


def _labelled(document: Document, label: str) -> Document:
    """Return a document with the condition as its label."""
    return replace(document, label=label)
