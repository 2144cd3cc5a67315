"""Tokens as a reader sees them: text, features, and the strongest tokens of each network."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.rows import Array, Indices
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.base import Signals

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# replacement character that a decoder writes for an incomplete character
INCOMPLETE = "�"


def token_pieces(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> list[str]:
    """Text that each token adds to the tokens before it; joined, they are the decoded text.

    A character whose bytes are spread over several tokens belongs to the last of them, the others are
    empty. Decoding a token by itself would lose spaces and break such characters.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Decoder of the tokens.
    ids : sequence of int
        The tokens of one text, n of them.

    Returns
    -------
    list of str
        Text of each of the n tokens.
    """
    pieces: list[str] = []
    # each new token is decoded together with the last complete one, since the text that it adds can
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


# position within a corpus, to be removed from "wikipedia_5.jsonl line 12" or "… seed 0 item 3"
COUNTER = re.compile(r"[\s:#]*\b(?:line|row|item)?\s*\d+(?:\s*\(line \d+\))?$")


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """Features of the T tokens that have a row in the signals.

    Attributes
    ----------
    numbers : dict of str to array of shape (T,)
        ``position`` in the text, ``log_frequency`` (natural logarithm of the token's count in the sample that
        the signals come from, not in the language or in the model's training text), and the
        indicators ``first_token``, ``punctuation``, ``newline`` and ``digit``, 0 or 1.
    text, position, domain : int array of shape (T,)
        Index of the text, position in it, and index into ``domains``.
    domains : tuple of str
        Labels of the documents, or the corpora that they come from if they have none.
    tokens : int array of shape (T,)
        Token ids.
    pieces : list of list of str
        Text of each token, for every text.
    """

    numbers: dict[str, Array]
    text: Indices
    position: Indices
    domain: Indices
    domains: tuple[str, ...]
    tokens: Indices
    pieces: list[list[str]]


def token_features(lm: LanguageModel, signals: Signals) -> TokenFeatures:
    """Compute the features of every token of the signals."""
    texts = signals.texts
    text, position = signals.rows.text, signals.rows.position
    bar = tqdm(texts.ids, desc="tokens as text", unit=" text", leave=False, delay=1)
    pieces = [token_pieces(lm.tokenizer, ids) for ids in bar]
    rows = list(zip(text.tolist(), position.tolist(), strict=True))
    counts = Counter(token for ids in texts.ids for token in ids)
    tokens = np.array([texts.ids[row][place] for row, place in rows], dtype=np.int64)
    written = [pieces[row][place] for row, place in rows]
    names = [document.label or corpus(document.origin) for document in texts.documents]
    domains = tuple(sorted(set(names)))
    numbers = {
        "position": position.astype(np.float64),
        "first_token": (position == 0).astype(np.float64),
        "punctuation": np.array([is_punctuation(piece) for piece in written], dtype=np.float64),
        "newline": np.array(["\n" in piece for piece in written], dtype=np.float64),
        "digit": np.array([any(map(str.isdigit, piece)) for piece in written], dtype=np.float64),
        "log_frequency": np.log(np.array([counts[token] for token in tokens.tolist()], dtype=np.float64)),
    }
    index = np.array([domains.index(name) for name in names], dtype=np.int64)
    return TokenFeatures(numbers, text, position, index[text], domains, tokens, pieces)


def is_punctuation(piece: str) -> bool:
    """True if a token consists of punctuation and symbols only (Unicode categories P and S)."""
    bare = piece.strip()
    return bool(bare) and all(unicodedata.category(character)[0] in "PS" for character in bare)


def corpus(origin: str) -> str:
    """Corpus that a document comes from: its origin without the position in it."""
    return COUNTER.sub("", origin) or origin


COLUMNS = ("network", "rank", "strength", "token", "before", "after", "text", "position", "origin")


def strongest_tokens(
    lm: LanguageModel, signals: Signals, time_courses: Tensor, count: int, context: int
) -> pd.DataFrame:
    """Table of the tokens with the largest magnitude of each network's time course.

    Parameters
    ----------
    lm : LanguageModel
        Model, for its tokenizer.
    signals : Signals
        Signals that the networks were extracted from.
    time_courses : Tensor of shape (T, K)
        Time courses of unit variance, so that strengths are in standard deviations.
    count : int
        Tokens per network.
    context : int
        Tokens shown before and after.

    Returns
    -------
    DataFrame
        Columns network, rank, strength (signed), token, before, after, text, position, origin.
    """
    where = signals.rows
    rows: list[dict[str, object]] = []
    for network in range(time_courses.shape[1]):
        course = time_courses[:, network].numpy()
        order = np.argsort(-np.abs(course), kind="stable")[:count]
        for rank, row in enumerate(order, start=1):
            text, position = int(where.text[row]), int(where.position[row])
            ids = list(signals.texts.ids[text])
            rows.append(
                {
                    "network": network,
                    "rank": rank,
                    "strength": float(course[row]),
                    "token": lm.tokenizer.decode(ids[position : position + 1]),
                    "before": lm.tokenizer.decode(ids[max(0, position - context) : position]),
                    "after": lm.tokenizer.decode(ids[position + 1 : position + 1 + context]),
                    "text": text,
                    "position": position,
                    "origin": signals.texts.documents[text].origin,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))
