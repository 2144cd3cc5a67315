"""Area under the ROC curve with its error."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fbn_exp.benchmarks.labelled.auroc import auroc_score


def two(values):
    """Log-likelihoods of two labels whose difference is given."""
    values = np.asarray(values, dtype=float)
    return np.stack([np.zeros(len(values)), values], axis=1)


def test_the_area_is_the_share_of_pairs_in_order():
    score = auroc_score("tweets", two([1, 2, 3, 2, 4]), np.array([0, 0, 0, 1, 1]))
    # of six pairs 2 > 1, 2 = 2, 2 < 3; and 4 exceeds all
    assert score.value == pytest.approx((1 + 0.5 + 0 + 3) / 6)
    assert (score.name, score.chance, score.n) == ("tweets/auroc", 0.5, 5)


@given(values=arrays(float, 20, elements=st.integers(0, 5).map(float)), n=st.integers(2, 18))
def test_it_is_the_statistic_of_mann_and_whitney(values, n):
    gold = (np.arange(20) < n).astype(np.int64)
    expected = scipy.stats.mannwhitneyu(values[gold == 1], values[gold == 0]).statistic / (n * (20 - n))
    assert auroc_score("a", two(values), gold).value == pytest.approx(expected)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_the_error_is_the_spread_over_repetitions(n_labels):
    rng = np.random.default_rng(0)
    gold = np.repeat(np.arange(n_labels), [60, 30, 20][:n_labels])
    found = []
    for _ in range(600):
        likelihood = rng.normal(size=(len(gold), n_labels))
        likelihood[np.arange(len(gold)), gold] += 1
        found.append(auroc_score("a", likelihood, gold))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.08)


def test_a_model_that_leans_to_one_answer_can_rank_all_the_same():
    gold = np.repeat([0, 1], 10)
    leaning = auroc_score("a", two(np.linspace(5, 6, 20)), gold)
    assert (leaning.value, leaning.standard_error) == (1, 0)
    deaf = auroc_score("a", two(np.full(20, 5.0)), gold)
    assert (deaf.value, deaf.standard_error) == (0.5, 0)


def test_undecided_texts_do_not_count_and_without_two_labels_there_is_no_area():
    gold = np.array([0, 0, 1, 1, 1])
    values = two([0, 1, 2, 3, math.nan])
    assert auroc_score("a", values, gold).value == 1
    assert auroc_score("a", values, gold).weights[4] == 0
    assert math.isnan(auroc_score("a", values[:2], gold[:2]).value)
    assert math.isnan(auroc_score("a", np.full((5, 2), np.nan), gold).value)
