"""The first tokens of texts, of which only as much is tokenised as they need."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# a text longer than this number of characters per token is cut first; English has four
CHARACTERS = 16
# factor between two attempts
LONGER = 8
# words that must follow the last token: the cut can change the last one, and where the one before it ends
WORDS_BEHIND = 2
# of a text that is one long word, the first n tokens are taken once there are this many times n
TOKENS_BEHIND = 64


def first_tokens(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", n: int) -> list[tuple[int, ...]]:
    """Token ids of texts, cut to ``n`` tokens: the same as if the whole texts were tokenised.

    Tokenizers first divide a text into words, from left to right, by rules that look at most one word ahead,
    and then each word into tokens by itself. So the tokens of a word are known once ``WORDS_BEHIND`` further
    words follow it. A long text is cut after ever more characters until that is so of its ``n``-th token.

    A text without words, such as ten million letters, has no such proof, nor has any text for a tokenizer
    that does not divide it: there the cut is long enough once it holds ``TOKENS_BEHIND * n`` tokens, since
    merges of neighbours would have to carry over all of these to reach the first ``n``.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    tokenizer : PreTrainedTokenizerBase
        Used with its default special tokens.
    n : int
        Largest number of tokens of a text, special ones included.
    """
    shortened = [text[: _enough(text, tokenizer, n)] for text in texts]
    encoded = tokenizer(shortened, truncation=True, max_length=n, return_attention_mask=False, verbose=False)
    return [tuple(ids) for ids in encoded["input_ids"]]


def _enough(text: str, tokenizer: "PreTrainedTokenizerBase", n: int) -> int:
    """Number of characters of a text that determine its first ``n`` tokens."""
    length = CHARACTERS * n
    # slow tokenizers do not tell words, and a tokenizer can keep the end of a text instead
    if len(text) <= length or not tokenizer.is_fast or tokenizer.truncation_side != "right":
        return len(text)
    while length < len(text):
        words = tokenizer(text[:length], add_special_tokens=False, verbose=False).word_ids(0)
        known = None not in words and len(words) > n and words[n - 1] + WORDS_BEHIND <= words[-1]
        if known or len(words) >= TOKENS_BEHIND * n:
            return length
        length *= LONGER
    return len(text)
