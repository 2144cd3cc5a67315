"""Tokens of two tokenizers that end at the same character of a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fbn_exp.core.errors import ModelError
from fbn_exp.core.rows import Indices
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class LocatedTexts:
    """Texts as tokens of one model, and where in its text each token ends.

    Attributes
    ----------
    texts : Texts
        The texts.
    ends : tuple of int array of shape (tokens,)
        For each text, number of its characters up to the end of each token; 0 for a special token.
    """

    texts: Texts
    ends: tuple[Indices, ...]


def located(texts: Texts, lm: LanguageModel) -> LocatedTexts:
    """Tokenise the characters that the tokens of ``texts`` cover, by the tokenizer of a model.

    Parameters
    ----------
    texts : Texts
        Texts of plain strings; each is tokenised as a whole.
    lm : LanguageModel
        Model whose tokenizer is used, with its default special tokens.

    Raises
    ------
    ModelError
        If the tokenizer does not tell which characters a token stands for.
    """
    encoded = [encode(document.text, lm.tokenizer, lm.name) for document in texts.documents]
    items = (
        TokenisedText(ids, document) for (ids, _), document in zip(encoded, texts.documents, strict=True)
    )
    return LocatedTexts(Texts(tuple(items), source=texts.source), tuple(ends for _, ends in encoded))


def encode(
    text: str, tokenizer: "PreTrainedTokenizerBase", name: str, most: int | None = None
) -> tuple[tuple[int, ...], Indices]:
    """Tokens of a text, at most so many, and the number of characters up to the end of each."""
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {name} does not tell which characters a token stands for: tokens of two "
            "models cannot be aligned"
        )
    encoded = tokenizer(
        text, return_offsets_mapping=True, truncation=most is not None, max_length=most, verbose=False
    )
    ends = np.array([end for _, end in encoded["offset_mapping"]], dtype=np.int64)
    return tuple(encoded["input_ids"]), ends


def cut(texts: Texts, tokenizer: "PreTrainedTokenizerBase", name: str) -> Texts:
    """Texts whose documents hold only the characters that their tokens cover.

    Both models then read the same characters, whichever tokens each of them needs.
    """
    items = []
    for item in texts.items:
        # a token is rarely longer: a text that is cut short here only loses its end
        beginning = item.document.text[: 16 * len(item.ids)]
        _, ends = encode(beginning, tokenizer, name, len(item.ids))
        covered = beginning[: int(ends.max(initial=0))]
        whole = item.document.source_text
        items.append(
            TokenisedText(item.ids, Document(covered, item.document.origin, item.document.label, whole))
        )
    return Texts(tuple(items), source=texts.source)


def shared_ends(ends: Indices, others: Indices, skipped: int = 0) -> tuple[Indices, Indices]:
    """Indices of the tokens of two models after which both have read the same characters.

    Where several tokens end at a character, as the bytes of one character do, the last one is taken; special
    tokens, which stand for no character, are left out.

    Parameters
    ----------
    ends, others : int array
        Character at which each token ends, of one text.
    skipped : int
        Number of shared ends at the beginning of the text to leave out.

    Returns
    -------
    pair of int array of shape (shared,)
        Indices into the tokens of either model, in ascending order.

    Examples
    --------
    >>> shared_ends(np.array([3, 7, 8]), np.array([0, 3, 5, 8]))
    (array([0, 2]), array([1, 3]))
    """
    last, other_last = _last_with_end(ends), _last_with_end(others)
    shared = sorted((last.keys() & other_last.keys()) - {0})[skipped:]
    return _indices([last[end] for end in shared]), _indices([other_last[end] for end in shared])


def _last_with_end(ends: Indices) -> dict[int, int]:
    return {end: index for index, end in enumerate(ends.tolist())}


def _indices(values: Sequence[int]) -> Indices:
    return np.array(values, dtype=np.int64)
