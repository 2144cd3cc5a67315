"""Tokens of two tokenizers that end at the same character."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fbn_exp.analysis.fingerprint.alignment import cut, encode, shared_ends
from fbn_exp.core.errors import ModelError
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.random import byte_tokenizer

TEXT = "Über den Wolken, naïve 🚂 trains."


def word_tokenizer():
    words = ["Über", "den", "Wolken", ",", "naïve", "🚂", "trains", "."]
    vocabulary = {word: index for index, word in enumerate([*words, "<unk>", "<bos>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def test_after_shared_ends_both_models_have_read_the_same_characters():
    _, ends = encode(TEXT, byte_tokenizer(), "bytes")
    _, others = encode(TEXT, word_tokenizer(), "words")
    here, there = shared_ends(ends, others)
    assert [TEXT[: ends[each]] for each in here] == [TEXT[: others[each]] for each in there]
    assert len(there) == len(others)  # every word ends at a byte


def test_of_the_bytes_of_one_character_the_last_is_taken():
    ids, ends = encode("ü!", byte_tokenizer(), "bytes")
    assert len(ids) == 3
    here, _ = shared_ends(ends, ends)
    assert here.tolist() == [1, 2]


def test_tokens_of_the_same_tokenizer_are_their_own_partners():
    _, ends = encode("plain words", byte_tokenizer(), "bytes")
    here, there = shared_ends(ends, ends, skipped=2)
    assert here.tolist() == there.tolist() == list(range(2, len(ends)))


def test_special_tokens_and_ends_of_one_model_alone_are_left_out():
    here, there = shared_ends(np.array([3, 7, 8]), np.array([0, 3, 5, 8]))
    assert (here.tolist(), there.tolist()) == ([0, 2], [1, 3])


def test_texts_are_cut_to_what_their_tokens_cover():
    tokenizer = byte_tokenizer()
    ids = tuple(tokenizer("plain words")["input_ids"][:5])
    (item,) = cut(Texts((TokenisedText(ids, Document("plain words", "here")),)), tokenizer, "bytes").items
    assert item.document.text == "plain"
    assert item.document.source_text == "plain words"


def test_a_tokenizer_that_tells_no_characters_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="tokenizer of slow does not tell which characters"):
        encode("a", Slow(), "slow")
