import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from fbn_exp.benchmarks.classification import Classification
from fbn_exp.core.errors import BenchmarkError, ConfigError, DatasetError
from fbn_exp.datasets.config import Split
from fbn_exp.training.classifier import classifier

YES, NO = 259, 260
PROMPT = "{text} yes or no:"


class Counter(nn.Module):
    """Says `` yes`` the louder the more + it has read, `` no`` the more -, and breaks at a ?."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(261, 1)
        self.passed = []

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, attention_mask, use_cache):
        self.passed.append(int(attention_mask.sum()))
        seen = {mark: (input_ids == self.ids[mark]).cumsum(dim=1).float() for mark in "+-?"}
        logits = torch.zeros(*input_ids.shape, 261)
        logits[..., YES], logits[..., NO] = seen["+"], seen["-"]
        return SimpleNamespace(logits=torch.where(seen["?"][..., None] > 0, torch.nan, logits))


@pytest.fixture
def counter(tiny_model):
    """The toy model, with a tokenizer in which each word is one token."""
    tiny_model.tokenizer.add_tokens([" yes", " no"])
    model = Counter()
    model.ids = {mark: tiny_model.tokenizer.encode(mark)[0] for mark in "+-?"}
    assert tiny_model.tokenizer.encode(" yes no") == [YES, NO]
    return replace(tiny_model, model=model)


def scored(benchmark, lm):
    benchmark.prepare(lm)
    return {score.metric: score for score in benchmark.score(lm)}


def right_by_text(benchmark, score):
    texts = [document.text for document in benchmark.texts.documents]
    return dict(zip(texts, score.items.tolist(), strict=True))


def test_the_likelier_word_is_compared_with_the_label(counter, texts_of):
    dataset = texts_of(["a ++", "b +", "c --", "d - + -"], labels=["yes", "no", "no", "yes"])
    benchmark = Classification(dataset, PROMPT)
    scores = scored(benchmark, counter)
    assert right_by_text(benchmark, scores["acc"]) == {"a ++": 1, "b +": 0, "c --": 1, "d - + -": 0}
    assert scores["acc"].value == 0.5
    assert scores["undecided"].value == 0


def test_chance_is_the_rate_of_the_most_frequent_label_and_is_logged(counter, texts_of, caplog):
    dataset = texts_of(["a +", "b +", "c -", "d -", "e -"], labels=["yes", "no", "no", "no", "no"])
    benchmark = Classification(dataset, PROMPT)
    with caplog.at_level(logging.INFO, logger="fbn_exp"):
        scores = scored(benchmark, counter)
        benchmark.score(counter)
    assert scores["acc"].chance == 0.8
    # once, however many edits are scored
    assert caplog.text.count("majority class no: 0.8000 of 5 texts") == 1


def test_the_balanced_accuracy_is_the_mean_over_labels(counter, texts_of):
    texts, labels = ["a +", "b -", "c -", "d +", "e -", "f ?"], ["yes", "no", "no", "no", "no", "no"]
    scores = scored(Classification(texts_of(texts, labels), PROMPT), counter)
    assert scores["acc"].value == 4 / 5
    assert scores["balanced_acc"].value == pytest.approx((1 + 3 / 4) / 2)
    assert scores["balanced_acc"].chance == 0.5


def test_always_the_same_answer_is_no_better_than_chance(counter, texts_of):
    texts, labels = ["a -", "b -", "c -", "d -"], ["yes", "no", "no", "no"]
    scores = scored(Classification(texts_of(texts, labels), PROMPT), counter)
    assert scores["acc"].value == scores["acc"].chance == 0.75
    assert scores["balanced_acc"].value == pytest.approx(scores["balanced_acc"].chance) == 0.5


def test_always_the_same_answer_has_no_error_and_may_still_rank_texts(counter, texts_of):
    texts, labels = ["a - +", "b - +", "c -", "d - -", "e -"], ["yes", "yes", "no", "no", "no"]
    scores = scored(Classification(texts_of(texts, labels), PROMPT), counter)
    assert (scores["balanced_acc"].value, scores["balanced_acc"].standard_error) == (0.5, 0)
    assert scores["auroc"].value == 1
    assert np.bincount(scores["auroc"].strata).tolist() == [3, 2]
    assert scores["auroc"].strata is scores["balanced_acc"].strata


def test_undecided_items_are_counted_and_are_no_wrong_answers(counter, texts_of):
    dataset = texts_of(["a +", "b ?+", "c -", "d ?-"], labels=["yes", "yes", "yes", "no"])
    benchmark = Classification(dataset, PROMPT)
    scores = scored(benchmark, counter)
    assert scores["acc"].value == 0.5
    assert right_by_text(benchmark, scores["undecided"]) == {"a +": 0, "b ?+": 1, "c -": 0, "d ?-": 1}
    assert scores["undecided"].value == 0.5
    assert scores["acc"].weights.tolist() == (1 - scores["undecided"].items).tolist()


def test_no_decided_item_gives_no_number_instead_of_an_exception(counter, texts_of):
    scores = scored(Classification(texts_of(["a ?", "b ?"], labels=["yes", "no"]), PROMPT), counter)
    assert math.isnan(scores["acc"].value)
    assert math.isnan(scores["balanced_acc"].value)
    assert scores["undecided"].value == 1
    assert scores["acc"].n == 2


def test_words_stand_for_labels(counter, texts_of):
    dataset = texts_of(["a ++", "b -"], labels=[1, 0])
    words = {"0": "no", "1": "yes"}
    assert scored(Classification(dataset, PROMPT, words), counter)["acc"].value == 1


def test_by_default_the_labels_are_those_that_have_a_word(counter, texts_of):
    dataset = texts_of(["a +", "b -", "c -"], labels=["p", "n", "other"])
    benchmark = Classification(dataset, PROMPT, {"p": "yes", "n": "no"})
    assert scored(benchmark, counter)["acc"].n == 2
    assert benchmark.labels_ == ["n", "p"]


def test_by_default_the_labels_are_all_that_a_head_knows(tiny_model, texts_of):
    dataset = texts_of(["a text", "another", "a third", "more"], labels=["p", "n", "other", "n"])
    model = classifier(tiny_model, ["n", "other", "p"], seed=0)
    benchmark = Classification(dataset, PROMPT, {"p": "yes", "n": "no"})
    scores = scored(benchmark, model)
    assert benchmark.labels_ == ["n", "other", "p"]
    assert (scores["acc"].n, scores["acc"].chance) == (4, 0.5)
    named = Classification(dataset, PROMPT, labels=["n", "p"])
    assert scored(named, model)["acc"].n == 3


def test_texts_whose_labels_a_head_does_not_know_are_left_out(tiny_model, texts_of):
    dataset = texts_of(["a text", "another", "a third", "more"], labels=["p", "n", "other", "n"])
    model = classifier(tiny_model, ["n", "p"], seed=0)
    assert scored(Classification(dataset, PROMPT), model)["acc"].n == 3
    with pytest.raises(BenchmarkError, match=r"knows the labels n, p; .* has other"):
        scored(Classification(dataset, PROMPT, labels=["n", "other"]), model)


def test_words_of_one_token_share_one_pass(counter, texts_of):
    dataset = texts_of(["a ++", "b -"], labels=["yes", "no"])
    benchmark = Classification(dataset, PROMPT)
    scored(benchmark, counter)
    # one byte is one token, but " yes" and " no" inside the prompt are one each
    prompts = [len(f"{text} or:") + 2 for text in ("a ++", "b -")]
    assert sum(counter.model.passed) == benchmark.forward_tokens() == sum(prompts)


@pytest.mark.parametrize("words", [{"p": "good", "n": "bad"}, {"p": "yes", "n": "no"}])
@pytest.mark.parametrize("batch_tokens", [1, 400])
def test_likelihoods_are_those_of_one_row_at_a_time(tiny_model, texts_of, words, batch_tokens):
    tiny_model.tokenizer.add_tokens([" yes", " no"])
    tiny_model.model.resize_token_embeddings(261)
    texts = ["a text", "another, longer text", "short", "Zürich"]
    benchmark = Classification(
        texts_of(texts, labels=list("pnpn")), "Say: {text} =", words, batch_tokens=batch_tokens
    )
    benchmark.prepare(tiny_model)
    assert benchmark.labels_ == ["n", "p"]
    expected = []
    for document in benchmark.texts.documents:
        prompt = tiny_model.tokenizer.encode(f"Say: {document.text} =")
        for label in benchmark.labels_:
            word = tiny_model.tokenizer.encode(f" {words[label]}")
            with torch.no_grad():
                logits = tiny_model.model(input_ids=torch.tensor([prompt + word])).logits[0]
            likelihood = logits.double().log_softmax(-1)
            expected.append(sum(float(likelihood[len(prompt) - 1 + i, id_]) for i, id_ in enumerate(word)))
    found = benchmark._likelihoods(tiny_model, 1)[0]
    assert found.ravel() == pytest.approx(np.array(expected), rel=1e-5)


def test_only_texts_with_the_named_labels_are_taken_and_then_counted(counter, texts_of):
    texts, labels = [f"{i} +" for i in range(30)], ["yes", "maybe", "no"] * 10
    benchmark = Classification(texts_of(texts, labels, n_texts=20), PROMPT, labels=["no", "yes"])
    scores = scored(benchmark, counter)
    assert benchmark.labels_ == ["no", "yes"]
    assert scores["acc"].n == 20
    assert {document.label for document in benchmark.texts.documents} == {"yes", "no"}


def test_long_texts_are_cut_so_that_the_question_stays(counter, texts_of):
    benchmark = Classification(
        texts_of(["+" * 99, "-" * 99], labels=["yes", "no"], tokens_per_text=9), "{text}!"
    )
    benchmark.prepare(counter)
    assert {counter.tokenizer.decode(row) for row in benchmark.rows} == {"+" * 9 + "!", "-" * 9 + "!"}


def test_on_reads_another_part_with_the_same_question(texts_of):
    dataset = texts_of(["a", "b"], labels=["yes", "no"], split=Split.test)
    other = Classification(dataset, PROMPT, {"yes": "y", "no": "n"}, ["yes", "no"], 99).on(Split.dev)
    assert (other.dataset.split, dataset.split) == (Split.dev, Split.test)
    assert (other.prompt, other.words, other.labels) == (PROMPT, {"yes": "y", "no": "n"}, ["yes", "no"])
    assert other.batch_tokens == 99


def test_the_key_changes_with_what_is_asked(counter, texts_of):
    def key(prompt=PROMPT, labels=("yes", "no"), words=None):
        dataset = texts_of(["a +", "b -"], labels=list(labels))
        benchmark = Classification(dataset, prompt, words or {}, labels=[])
        benchmark.prepare(counter)
        return benchmark.key()

    assert key() == key()
    others = [key(prompt="{text}?"), key(labels=("no", "yes")), key(words={"yes": "no", "no": "yes"})]
    assert all(other != key() for other in others)


def test_a_label_that_no_text_has_is_an_error_with_those_there_are(counter, texts_of):
    benchmark = Classification(texts_of(["ab", "cd"], labels=["yes", "no"]), PROMPT, labels=["yes", "nay"])
    with pytest.raises(DatasetError, match=r"no text of .* is labelled nay; its labels: no, yes"):
        benchmark.prepare(counter)


def test_texts_without_labels_are_an_error_that_says_what_to_set(counter, texts_of):
    with pytest.raises(BenchmarkError, match=r"line 1 has no label: set benchmark\.dataset\.label_field"):
        Classification(texts_of(["abc"]), PROMPT).prepare(counter)
    with pytest.raises(DatasetError, match=r"its labels: none, set dataset\.label_field"):
        Classification(texts_of(["abc"]), PROMPT, labels=["yes", "no"]).prepare(counter)


@pytest.mark.parametrize(
    ("labels", "words", "message"),
    [
        (["yes", "no"], {"yes": "no"}, "gives two labels the same word:  no,  no"),
        (["yes", "yes"], {}, "all texts of .* are labelled yes"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_an_error(counter, texts_of, labels, words, message):
    with pytest.raises(BenchmarkError, match=message):
        Classification(texts_of(["abc", "def"], labels=labels), PROMPT, words, labels=[]).prepare(counter)


def test_words_of_labels_that_are_not_there_are_a_warning(counter, texts_of, caplog):
    benchmark = Classification(texts_of(["ab", "cd"], labels=["yes", "no"]), PROMPT, {"nay": "no"}, labels=[])
    benchmark.prepare(counter)
    assert "benchmark.words: there is no label nay; there are: no, yes" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "no place"}, r"benchmark\.prompt is 'no place': needs \{text\}"),
        ({"prompt": PROMPT, "labels": ["yes"]}, r"benchmark\.labels is \[yes\]: name at least two"),
        ({"prompt": PROMPT, "words": {"yes": ""}}, r"benchmark\.words: no word may be empty"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(texts_of, settings, message):
    with pytest.raises(ConfigError, match=message):
        Classification(texts_of(["abc"], labels=["yes"]), **settings)
