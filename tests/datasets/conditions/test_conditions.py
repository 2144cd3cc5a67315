from dataclasses import replace

import pytest

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.conditions.dataset import Conditions
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.files import FilesDataset
from fbn_exp.datasets.splits import split_of


@pytest.fixture
def conditions(tmp_path):
    """Forty poems and forty lines of prose."""
    files = {}
    for name in ("poems", "prose"):
        lines = "".join(f'{{"text": "{name} {number}, {number}"}}\n' for number in range(40))
        (tmp_path / f"{name}.jsonl").write_text(lines)
        files[name] = FilesDataset(str(tmp_path / f"{name}.jsonl"), min_tokens=2)
    return Conditions(files, n_texts=10, split=Split.dev)


def test_every_text_is_labelled_with_its_condition(conditions, tokenizer):
    texts = conditions.sample(tokenizer)
    labels = [document.label for document in texts.documents]
    assert labels == ["poems"] * 10 + ["prose"] * 10
    assert all(document.text.startswith(document.label) for document in texts.documents)
    assert list(texts.rows(1).labels) == labels
    assert "poems:" in texts.source
    assert "prose.jsonl" in texts.source


def test_only_the_conditions_that_are_asked_for_are_read(conditions, tokenizer):
    assert {each.label for each in conditions.sample(tokenizer, ["prose"]).documents} == {"prose"}
    with pytest.raises(DatasetError, match="conditions has no essays; there are: poems, prose"):
        conditions.sample(tokenizer, ["essays"])


def test_numbers_cuts_and_parts_hold_for_all_conditions(conditions, tokenizer):
    short = replace(conditions, tokens_per_text=8, n_texts=3)
    assert short.sample(tokenizer).lengths == [8] * 6
    # files take all of their texts, unless they are told to take a part
    parts = {name: replace(each, split=Split.train) for name, each in conditions.conditions.items()}
    texts = replace(conditions, conditions=parts, n_texts=None).sample(tokenizer)
    assert {split_of(document.text) for document in texts.documents} == {Split.dev}
    assert replace(conditions, seed=1).sample(tokenizer).digest != conditions.sample(tokenizer).digest


def test_no_condition_is_refused():
    with pytest.raises(ConfigError, match=r"dataset\.conditions is empty"):
        Conditions()
