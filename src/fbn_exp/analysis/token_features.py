"""What can be told of every token without the model: where it stands, what it is, where it comes from."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fbn_exp.analysis.tokens import token_pieces
from fbn_exp.models.load import LanguageModel
from fbn_exp.signals.recording import Signals

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# "wikipedia_5.jsonl line 12" and "… seed 0 item 3": what stays the same within a corpus
COUNTER = re.compile(r"[\s:#]*\b(?:line|row|item)?\s*\d+(?:\s*\(line \d+\))?$")


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """Features of the T tokens that have a row in the signals.

    Attributes
    ----------
    numbers : dict of str to array of shape (T,)
        ``position`` in the text, ``log_frequency`` (natural logarithm of how often the token occurs in the
        sample that the signals come from: not in the language, nor in the model's training text), and the
        indicators ``first_token``, ``punctuation``, ``newline`` and ``digit``, 0 or 1.
    text, position, domain : int array of shape (T,)
        Text, place in it, and index into ``domains``.
    domains : tuple of str
        Labels of the documents, or where they have none the corpora that they come from.
    tokens : int array of shape (T,)
        Token ids.
    pieces : list of list of str
        Every text token by token.
    """

    numbers: dict[str, Array]
    text: Codes
    position: Codes
    domain: Codes
    domains: tuple[str, ...]
    tokens: Codes
    pieces: list[list[str]]


def token_features(lm: LanguageModel, signals: Signals) -> TokenFeatures:
    """Features of every token of the signals."""
    texts = signals.texts
    text, position = signals.token_of_row()
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
        "punctuation": np.array([is_punctuation(each) for each in written], dtype=np.float64),
        "newline": np.array(["\n" in each for each in written], dtype=np.float64),
        "digit": np.array([any(map(str.isdigit, each)) for each in written], dtype=np.float64),
        "log_frequency": np.log(np.array([counts[each] for each in tokens.tolist()], dtype=np.float64)),
    }
    index = np.array([domains.index(each) for each in names], dtype=np.int64)
    return TokenFeatures(numbers, text, position, index[text], domains, tokens, pieces)


def is_punctuation(piece: str) -> bool:
    """Whether a token is nothing but punctuation and symbols (Unicode categories P and S)."""
    bare = piece.strip()
    return bool(bare) and all(unicodedata.category(character)[0] in "PS" for character in bare)


def corpus(origin: str) -> str:
    """Corpus that a document's origin names: the origin without the place in it."""
    return COUNTER.sub("", origin) or origin
