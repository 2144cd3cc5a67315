import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.core.rows import Rows


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(0, 25))
def test_every_row_belongs_to_one_token_in_text_order(lengths, skipped):
    rows = Rows(lengths, skipped)
    expected = [(i, skipped + j) for i, length in enumerate(lengths) for j in range(length)]
    assert list(zip(rows.text.tolist(), rows.position.tolist(), strict=True)) == expected
    assert len(rows) == len(expected)
    assert [rows.text[own].tolist() for own in rows.slices] == [
        [text] * length for text, length in enumerate(lengths) if length
    ]


def test_rows_of_chosen_texts_follow_the_choice_and_a_text_that_is_chosen_twice_is_two_texts():
    rows = Rows([2, 1, 0, 3], skipped=1)
    assert rows.of_texts([3, 0, 2, 3]).tolist() == [3, 4, 5, 0, 1, 3, 4, 5]
    chosen = rows.subset([3, 0, 2, 3])
    assert chosen.text.tolist() == [0, 0, 0, 1, 1, 3, 3, 3]
    assert chosen.position.tolist() == [1, 2, 3, 1, 2, 1, 2, 3]


def test_no_chosen_text_has_no_row():
    assert Rows([2, 1]).of_texts([]).dtype == np.int64
    assert len(Rows([2, 1]).subset([])) == 0
    assert Rows([2, 1]).subset([]).text.tolist() == []


@pytest.mark.parametrize(("least", "expected"), [(2, [((1, 3), (3, 6))]), (3, [])])
def test_short_texts_are_not_halved(least, expected):
    halves = Rows([1, 5, 3]).halves(least)
    assert [tuple((half.start, half.stop) for half in text) for text in halves] == expected


@pytest.mark.parametrize(("skipped", "expected"), [(0, [((2, 4), (4, 6))]), (1, [((1, 3), (3, 6))])])
def test_first_tokens_are_in_no_half(skipped, expected):
    halves = Rows([1, 5, 3], skipped).halves(2, first_position=1)
    assert [tuple((half.start, half.stop) for half in text) for text in halves] == expected
