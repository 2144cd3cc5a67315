"""Long documents as consecutive windows of tokens, of which nothing is left out."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from fbn_exp.core.errors import DatasetError
from fbn_exp.datasets.base import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def windows(document: Document, tokenizer: "PreTrainedTokenizerBase", n: int) -> Iterator[Document]:
    """Divide a document into consecutive windows of at most ``n`` tokens, which together are its text.

    A window ends between two words, unless a word alone is longer. Its origin tells its first character, and
    it belongs to the split of the whole document.

    Parameters
    ----------
    document : Document
        A text of any length; one that is short enough stays as it is.
    tokenizer : PreTrainedTokenizerBase
        A fast tokenizer, which tells where each token and word ends.
    n : int
        Largest number of tokens of a window, special ones included.

    Raises
    ------
    DatasetError
        If the tokenizer is a slow one.
    """
    if not tokenizer.is_fast:
        raise DatasetError(
            "dataset.windows: true needs a fast tokenizer, which tells where tokens end; this model's is "
            f"{type(tokenizer).__name__}: use dataset.split_on=paragraph or line"
        )
    encoded = tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ends = [end for _, end in encoded["offset_mapping"]]
    cuts = _cuts(encoded.word_ids(0), max(1, n - tokenizer.num_special_tokens_to_add()))
    if not cuts:
        yield document
        return
    # with the end of the last token before it, a window keeps the space before its first word
    places = [0, *(ends[cut - 1] for cut in cuts), len(document.text)]
    for first, last in pairwise(places):
        text, origin = document.text[first:last], f"{document.origin} from character {first + 1}"
        yield replace(document, text=text, origin=origin, whole=document.source_text)


def _cuts(words: list[int | None], n: int) -> list[int]:
    """Tokens at which a new window begins, of tokens of which the word is known, or None."""
    cuts, first = [], 0
    while first + n < len(words):
        cut = first + n
        while cut > first and words[cut] == words[cut - 1]:
            cut -= 1
        first = cut if cut > first else first + n
        cuts.append(first)
    return cuts
