import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.base import Document, TextDataset
from fbn_exp.datasets.config import Split


@dataclass
class Listed(TextDataset):
    """Documents from a list."""

    texts: Sequence[str]
    labels: Sequence[str | None] | None = None

    @property
    def name(self):
        return "list"

    def documents(self):
        labels = self.labels or [None] * len(self.texts)
        for number, (text, label) in enumerate(zip(self.texts, labels, strict=True), 1):
            yield Document(text, f"list item {number}", label)

    def describe(self):
        return "a list"


class Counting:
    """A tokenizer that counts the texts it is given."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.n_texts = 0

    def __call__(self, texts, **settings):
        self.n_texts += len(texts)
        return self.tokenizer(texts, **settings)


def numbered(n):
    return [f"text number {index:06d} of many" for index in range(n)]


def test_token_ids_spell_the_beginning_of_the_document(tokenizer):
    texts = Listed(numbered(5), tokens_per_text=20, min_tokens=5, n_texts=5).sample(tokenizer)
    assert [tokenizer.decode(ids) for ids in texts.ids] == [each.text[:20] for each in texts.documents]


def test_every_token_that_is_not_skipped_has_a_row(tokenizer):
    texts = Listed(["a" * 7, "b" * 3, "c" * 50], n_texts=3, tokens_per_text=16, min_tokens=2).sample(
        tokenizer
    )
    tokens = [token for ids in texts.ids for token in ids]
    assert [tokens[own] for own in texts.rows().slices] == texts.ids
    assert len(texts.rows()) == texts.n_tokens == 7 + 3 + 16
    skipped = texts.rows(3)
    assert len(skipped) == 4 + 0 + 13
    assert [texts.ids[i][j] for i, j in zip(skipped.text, skipped.position, strict=True)] == [
        token for ids in texts.ids for token in ids[3:]
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=80),
    n_texts=st.integers(1, 40),
    min_tokens=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_sample_is_unique_long_enough_cut_and_complete(tokenizer, texts, n_texts, min_tokens, seed):
    source = Listed(texts, n_texts=n_texts, tokens_per_text=12, min_tokens=min_tokens, seed=seed)
    usable = {text.encode()[:12] for text in texts if text.strip() and len(text.encode()) >= min_tokens}
    if not usable:
        with pytest.raises(DatasetError, match="no usable text"):
            source.sample(tokenizer)
        return
    sampled = source.sample(tokenizer)
    assert len({tuple(ids) for ids in sampled.ids}) == len(sampled) == min(n_texts, len(usable))
    assert all(min_tokens <= length <= 12 for length in sampled.lengths)
    assert {each.text.encode()[:12] for each in sampled.documents} <= usable
    if n_texts > len(usable):
        assert len(sampled) + sampled.dropped_short + sampled.dropped_duplicate == len(texts)


def test_same_seed_gives_the_same_texts_and_another_seed_others(tokenizer):
    def digest(seed):
        return Listed(numbered(300), n_texts=20, tokens_per_text=40, seed=seed).sample(tokenizer).digest

    assert digest(1) == digest(1)
    assert len({digest(seed) for seed in range(5)}) == 5


def test_sampling_leaves_the_global_random_state_alone(tokenizer):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Listed(numbered(10), n_texts=5).sample(tokenizer)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_digest_tells_boundaries_apart(tokenizer):
    def digest(*texts):
        return Listed(texts, n_texts=None, min_tokens=1).sample(tokenizer).digest

    assert digest("aaabbbb") != digest("aaa", "bbbb")


def test_more_texts_extend_a_smaller_sample(tokenizer):
    few = Listed(numbered(200), n_texts=10, tokens_per_text=40).sample(tokenizer)
    many = Listed(numbered(200), n_texts=50, tokens_per_text=40).sample(tokenizer)
    assert many.ids[:10] == few.ids


def test_only_as_many_documents_are_tokenised_as_needed(tokenizer):
    counting = Counting(tokenizer)
    texts = Listed(numbered(20_000), n_texts=100, tokens_per_text=40).sample(counting)
    assert len(texts) == 100
    assert counting.n_texts < 200


def test_no_limit_takes_every_text(tokenizer):
    assert len(Listed(numbered(321), n_texts=None, tokens_per_text=40).sample(tokenizer)) == 321


def test_a_sample_keeps_the_label_of_each_text(tokenizer):
    labels = [str(index % 3) for index in range(100)]
    texts = Listed(numbered(100), labels, n_texts=40, tokens_per_text=40).sample(tokenizer)
    assert [int(each.label) for each in texts.documents] == [
        int(each.text[12:18]) % 3 for each in texts.documents
    ]


def test_named_labels_are_chosen_before_texts_are_counted(tokenizer):
    labels = [("a", "b", None)[index % 3] for index in range(90)]
    source = Listed(numbered(90), labels, n_texts=25, tokens_per_text=40)
    assert [each.label for each in source.sample(tokenizer, ["b"]).documents] == ["b"] * 25
    assert {each.label for each in source.sample(tokenizer).documents} == {"a", "b", None}


def test_a_label_that_no_text_has_is_named_with_those_there_are(tokenizer):
    source = Listed(numbered(2), ["b", "a"])
    with pytest.raises(DatasetError, match="no text of a list is labelled c; its labels: a, b"):
        source.sample(tokenizer, ["a", "c"])
    with pytest.raises(DatasetError, match=r"its labels: none, set dataset\.label_field"):
        Listed(numbered(2)).sample(tokenizer, ["a"])


def test_dropped_texts_are_counted(tokenizer):
    texts = Listed(["", "  \n", "short", "long enough", "long enough"], n_texts=None, min_tokens=8).sample(
        tokenizer
    )
    assert (len(texts), texts.dropped_short, texts.dropped_duplicate) == (1, 3, 1)


def test_fewer_texts_than_asked_for_are_a_warning_with_both_numbers(tokenizer, caplog):
    with caplog.at_level(logging.WARNING, logger="fbn_exp.datasets"):
        texts = Listed(numbered(7), n_texts=9, tokens_per_text=40).sample(tokenizer)
    assert len(texts) == 7
    assert "dataset.n_texts=9, but only 7 usable texts are in a list" in caplog.text


def test_no_usable_text_is_an_error_with_counts_and_a_way_out(tokenizer):
    with pytest.raises(DatasetError, match=r"3 documents were read, 3 of them .* lower dataset\.min_tokens"):
        Listed(["", "a", "bc"], n_texts=2).sample(tokenizer)


def test_an_empty_source_is_an_error(tokenizer):
    with pytest.raises(DatasetError, match="0 documents were read"):
        Listed([], n_texts=2).sample(tokenizer)


def test_long_texts_are_cut_without_a_warning(tokenizer, caplog, capfd):
    Listed(["x" * 10_000], n_texts=1, tokens_per_text=32).sample(tokenizer)
    assert "longer than" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_texts": 0}, r"dataset\.n_texts is 0, must be at least 1"),
        ({"n_texts": -5}, r"dataset\.n_texts is -5, must be at least 1"),
        ({"n_texts": float("nan")}, r"dataset\.n_texts is nan, must be at least 1"),
        ({"tokens_per_text": 1}, r"dataset\.tokens_per_text is 1, must be at least 2"),
        ({"min_tokens": 0}, r"dataset\.min_tokens is 0, must be from 1 to 128"),
        ({"min_tokens": 129}, r"dataset\.min_tokens is 129, must be from 1 to 128"),
        ({"seed": -1}, r"dataset\.seed is -1, must be at least 0"),
        ({"split": "val"}, r"dataset\.split is 'val', must be one of all, train, dev, test"),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        Listed([], **settings)


def test_a_split_may_be_given_by_name():
    assert Listed([], split="dev").split is Split.dev


def test_a_copy_reads_another_split_and_is_checked_again():
    source = Listed(["a"], n_texts=3)
    copy = replace(source, split="test")
    assert (copy.split, copy.n_texts, copy.texts) == (Split.test, 3, ["a"])
    assert source.split is Split.train
    with pytest.raises(ConfigError, match=r"dataset\.n_texts is 0"):
        replace(source, n_texts=0)


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "transformers", "datasets", "pyarrow", "pandas"}
    code = f"import sys, fbn_exp.datasets; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
