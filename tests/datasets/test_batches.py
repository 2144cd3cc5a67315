import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.batches import length_batches, pad

LENGTHS = st.lists(st.integers(1, 200), max_size=60)


@given(LENGTHS, st.integers(1, 500))
def test_each_text_is_in_exactly_one_batch(lengths, batch_tokens):
    batches = length_batches(lengths, batch_tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 500))
def test_a_padded_batch_keeps_the_budget_unless_it_is_a_single_text(lengths, batch_tokens):
    for batch in length_batches(lengths, batch_tokens):
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= batch_tokens


@given(LENGTHS, st.integers(1, 500))
def test_longest_texts_come_first(lengths, batch_tokens):
    flat = [lengths[index] for batch in length_batches(lengths, batch_tokens) for index in batch]
    assert flat == sorted(flat, reverse=True)


def test_texts_of_equal_length_fill_the_budget():
    assert [len(batch) for batch in length_batches([8] * 10, batch_tokens=33)] == [4, 4, 2]


def test_a_budget_below_one_token_is_refused():
    with pytest.raises(ConfigError, match="batch_tokens: 0"):
        length_batches([1], 0)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=8))
def test_the_mask_gives_back_what_was_padded(ids):
    input_ids, mask = pad(ids, pad_id=0)
    assert [row[kept.bool()].tolist() for row, kept in zip(input_ids, mask, strict=True)] == ids
    assert input_ids.dtype == mask.dtype == torch.int64


def test_padding_is_on_the_right():
    input_ids, mask = pad([[1, 2, 3], [4]], pad_id=9)
    assert input_ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
