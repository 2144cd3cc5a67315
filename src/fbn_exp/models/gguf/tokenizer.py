"""Tokenizers of Gemma models in GGUF files, which some releases of transformers take for another kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from transformers import GemmaTokenizer, PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import generate_merges
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

# kinds of tokens in a GGUF file
CONTROL, USER_DEFINED, BYTE = 3, 4, 6
TAB = "<0x09>"
# names of special tokens by the name of their id in a GGUF file
SPECIAL = {"unk": "unk_token_id", "bos": "bos_token_id", "eos": "eos_token_id", "pad": "pad_token_id"}


def gemma_tokenizer(file: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a Gemma model from its GGUF file.

    The file holds the pieces of a byte pair encoding in the order in which they are merged. transformers 5.14
    takes their negative ranks for the log-probabilities of a unigram model: it splits all text into single
    characters, and leaves out the token at the beginning of a text, without which Gemma does not work. 5.23
    reads the file as this function does.

    Parameters
    ----------
    file : Path
        A ``.gguf`` file of a Gemma model.

    Returns
    -------
    PreTrainedTokenizerBase
        As of the original checkpoint: merges derived from the pieces, control and user-defined pieces as
        added tokens, the beginning of a text marked.
    """
    described: dict[str, Any] = load_gguf_checkpoint(str(file))["tokenizer"]
    return from_pieces(described["tokens"], described["token_type"], described)


def from_pieces(pieces: Sequence[str], kinds: Sequence[int], ids: dict[str, Any]) -> PreTrainedTokenizerBase:
    """Build a tokenizer from its pieces.

    Parameters
    ----------
    pieces : sequence of str
        Piece of each id, in the order of merges.
    kinds : sequence of int
        Kind of each piece.
    ids : mapping
        Id of special tokens, under their names in ``SPECIAL``.
    """
    # older releases have a tab only as a byte
    tab = {} if "\t" in pieces else {TAB: "\t"}
    written = [tab.get(piece, piece.replace(" ", "▁")) for piece in pieces]
    vocabulary = {piece: index for index, piece in enumerate(written)}
    unmerged = {piece for piece, kind in zip(written, kinds, strict=True) if kind in (CONTROL, BYTE)}
    merges = generate_merges(vocabulary, None, unmerged - {"\t"})
    special = {f"{name}_token": pieces[ids[key]] for name, key in SPECIAL.items() if ids.get(key) is not None}
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True, **special)
    for kind in (CONTROL, USER_DEFINED):
        added = [piece for piece, each in zip(pieces, kinds, strict=True) if each == kind]
        # runs of spaces are left to the merges: an added token is looked for in the text as it is written
        tokenizer.add_tokens(
            [
                AddedToken(piece, normalized=False, special=kind == CONTROL)
                for piece in added
                if piece.strip("▁ ")
            ],
            special_tokens=kind == CONTROL,
        )
    return tokenizer
