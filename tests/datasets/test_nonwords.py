import random
import re

from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset, read_wiki
from fbn_exp.datasets.nonwords import NonWords, plain_sentence

TEXT = "One. In 1999 it rained. The old painter, who lived alone, sold all of his pictures to a friend. No."


def documents(corpus, split=Split.all):
    return list(EmbeddedDataset(corpus, split=split).documents())


def test_a_plain_sentence_has_words_of_letters_only():
    expected = "The old painter, who lived alone, sold all of his pictures to a friend."
    assert plain_sentence(TEXT) == expected
    assert plain_sentence("Too short. It was 1999 when they all came here to see the old house.") is None


def test_a_non_word_has_as_many_letters_and_the_same_marks_around_it():
    sentence = plain_sentence(TEXT)
    made = NonWords([TEXT]).replaced(sentence)
    assert re.sub(r"\w+", "", made) == re.sub(r"\w+", "", sentence)
    lengths = [max(2, len(word)) for word in re.findall(r"\w+", sentence)]
    assert [len(word) for word in re.findall(r"\w+", made)] == lengths
    assert made[0].isupper()
    assert NonWords([TEXT]).replaced(sentence) == made


def test_no_non_word_is_a_word_of_the_texts_even_if_these_allow_no_other():
    maker = NonWords(["aa ab"])
    rng = random.Random(0)
    assert {maker.draw(2, rng) for _ in range(50)}.isdisjoint({"aa", "ab"})


def test_lists_of_non_words_match_their_sentences_and_share_their_part():
    sentences, nonwords = documents("sentences"), documents("nonwords")
    vocabulary = {word.lower() for text in read_wiki() for word in re.findall("[A-Za-z]+", text.text)}
    assert len(sentences) == len(nonwords) > 400
    for sentence, listed in zip(sentences, nonwords, strict=True):
        assert sentence.whole == listed.whole
        assert sentence.text in sentence.whole
        assert len(sentence.text.split()) == len(listed.text.split())
        assert not {word.lower() for word in re.findall("[A-Za-z]+", listed.text)} & vocabulary


def test_sentences_belong_to_the_part_of_their_passage():
    passages = {split: {each.text for each in documents("wiki", split)} for split in Split}
    for split in (Split.train, Split.test):
        assert {each.whole for each in documents("sentences", split)} <= passages[split]
        assert {each.whole for each in documents("nonwords", split)} <= passages[split]
