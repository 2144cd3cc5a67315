"""Only as much of a text is tokenised as its first tokens need, and they are the same."""

import functools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from fbn_exp.datasets.files import FilesDataset
from fbn_exp.datasets.tokenise import CHARACTERS, first_tokens
from fbn_exp.models.random import byte_tokenizer

WORDS = ["a", "the", "cat", "sat", "matters", "re-reading", "don't", "1234", "12,345.67", "naïve", "über"]
WORDS += ["你好世界", "🙂🙂", "e\u0301te\u0301", "...", "\t\n", "", "\r\n"]
CORPUS = [" ".join(random.Random(seed).choices(WORDS, k=60)) for seed in range(60)]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def trained(model, trainer, pre_tokenizer=None, normalizer=None, special=False):
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    if special:
        start, end = (tokenizer.token_to_id(each) for each in ("[CLS]", "[SEP]"))
        tokenizer.post_processor = processors.TemplateProcessing(
            "[CLS] $A [SEP]", special_tokens=[("[CLS]", start), ("[SEP]", end)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]
BYTES = pre_tokenizers.ByteLevel.alphabet()


def byte_bpe(split):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    parts = [pre_tokenizers.Split(Regex(split), "isolated")] if split else []
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=BYTES, show_progress=False)
    return trained(models.BPE(), trainer, pre_tokenizers.Sequence([*parts, byte_level]))


@functools.cache
def tokenizer_called(kind):
    if kind == "bytes":
        return byte_tokenizer()
    if kind == "byte-level BPE":
        return byte_bpe(GPT2)
    if kind == "BPE of whole texts":
        return byte_bpe(None)
    if kind == "wordpiece with special tokens":
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False)
        model = models.WordPiece(unk_token="[UNK]")
        parts = (pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(), True)
        return trained(model, trainer, *parts)
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False
    )
    return trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(), normalizers.NFKC())


KINDS = ["bytes", "byte-level BPE", "BPE of whole texts", "wordpiece with special tokens", "unigram"]
TEXTS = st.builds(
    lambda parts, times: "".join(parts) * times,
    st.lists(st.sampled_from([*WORDS, " ", "x"]) | st.text(max_size=5), min_size=1, max_size=30),
    st.integers(1, 40),
)


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), n=st.integers(3, 9))
def test_the_first_tokens_are_those_of_the_whole_text(kind, texts, n):
    tokenizer = tokenizer_called(kind)
    whole = tokenizer(texts, truncation=True, max_length=n, verbose=False)["input_ids"]
    assert first_tokens(texts, tokenizer, n) == [tuple(ids) for ids in whole]


class Counting:
    """A tokenizer that counts the characters that it is given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.characters = tokenizer, 0

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, texts, **options):
        self.characters += len(texts) if isinstance(texts, str) else sum(map(len, texts))
        return self.tokenizer(texts, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["word after word, ", "x"], ids=["words", "one word"])
def test_of_a_long_line_only_the_beginning_is_tokenised(kind, text):
    counting = Counting(tokenizer_called(kind))
    whole = text * (3_000_000 // len(text))
    (ids,) = first_tokens([whole], counting, 64)
    assert len(ids) == 64 or text == "x"
    # those two make a single unknown token of a long word that they do not know
    if text != "x" or kind not in ("wordpiece with special tokens", "unigram"):
        assert counting.characters < 400 * CHARACTERS * 64


def test_a_tokenizer_that_keeps_the_end_of_a_text_reads_all_of_it():
    tokenizer = byte_tokenizer()
    tokenizer.truncation_side = "left"
    assert first_tokens(["a" * 5_000 + "b"], tokenizer, 2) == [tuple(tokenizer("ab")["input_ids"])]


def test_a_bar_is_shown_from_the_start(tmp_path, capfd):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"text": f"text {n} " * 20}) + "\n" for n in range(3)))
    FilesDataset([str(file)], n_texts=2).sample(byte_tokenizer())
    assert "tokenising:   0%|          | 0/2" in capfd.readouterr().err
