"""The text of each token, so that a text can be shown token by token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# what a decoder writes for bytes that are no whole character yet
INCOMPLETE = "�"


def token_pieces(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> list[str]:
    """Text that each token adds to the tokens before it; joined, they are the decoded text.

    A character whose bytes are spread over several tokens belongs to the last of them, the others are
    empty. Decoding a token by itself would lose spaces and break such characters.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Decodes.
    ids : sequence of int
        The tokens of one text, n of them.

    Returns
    -------
    list of str
        n pieces.
    """
    pieces: list[str] = []
    # decoded again with each new token: from one finished token back, since what a token adds can
    # depend on its predecessor (the streaming rule of text-generation-inference)
    start = shown = 0
    for end in range(1, len(ids) + 1):
        before = _decoded(tokenizer, ids[start:shown])
        after = _decoded(tokenizer, ids[start:end])
        if after.endswith(INCOMPLETE) and end < len(ids):
            pieces.append("")
            continue
        pieces.append(after[len(before) :])
        start, shown = shown, end
    return pieces


def _decoded(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> str:
    text = tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text
