"""Texts are read with the very time courses that networks have in their signals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fbn_exp as fbn
from fbn_exp.explorer.reading import MOST_TOKENS, Order, Reader, Reading, ordered


@pytest.mark.parametrize(("standardise", "skipped"), [("zscore", 1), ("none", 0)])
def test_a_text_of_the_extraction_has_its_time_courses_again(extraction, standardise, skipped):
    lm, texts, _ = extraction
    signals = fbn.record(lm, texts, standardise=standardise, skip_first=skipped)
    networks = fbn.fit(fbn.ICA(n_components=4), signals, keep_time_courses=True)
    text = min(range(len(texts)), key=lambda place: len(texts.documents[place].text))
    reading = Reader(lm, networks).read(texts.documents[text].text)
    rows = signals.rows.slices[text]
    n_tokens = len(texts.ids[text])
    assert_allclose(reading.values[skipped:n_tokens], networks.time_courses[rows], atol=2e-3)
    assert "".join(reading.pieces[:n_tokens]).startswith(texts.documents[text].text[:20])


def test_an_empty_text_has_no_tokens_and_a_long_one_is_cut(extraction):
    lm, _, networks = extraction
    reader = Reader(lm, networks)
    empty = reader.read("")
    assert empty.pieces == []
    assert empty.strengths.tolist() == [0] * len(networks)
    long = reader.read("word " * 1000)
    assert len(long.pieces) == MOST_TOKENS
    assert not long.whole
    assert reader.read("word").whole


def reading(*columns):
    values = np.array(columns, dtype=float).T
    return Reading(["x"] * len(values), values, skipped=1)


def test_strength_leaves_out_the_tokens_that_the_signals_leave_out():
    assert_allclose(reading([9, 3, 3, -3], [9, 0, 0, 0]).strengths, [3, 0])


def test_networks_are_ordered_by_one_text_or_by_the_difference():
    first, second = reading([0, 1, 1], [0, 2, 2], [0, 3, 3]), reading([0, 9, 9], [0, 2, 2], [0, 4, 4])
    assert ordered(first, None, Order.difference) == [2, 1, 0]
    assert ordered(first, second, Order.first) == [2, 1, 0]
    assert ordered(first, second, Order.second) == [0, 2, 1]
    assert ordered(first, second, Order.difference) == [0, 2, 1]
