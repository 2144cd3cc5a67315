"""Values and standard errors of scores."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fbn_exp.benchmarks.score import Score, mean_score

finite = st.floats(-1e3, 1e3)


def score_of(items, weights=None, strata=None):
    items = np.asarray(items, dtype=float)
    weights = None if weights is None else np.asarray(weights, dtype=float)
    return mean_score("agreement", "accuracy", items, higher_is_better=True, weights=weights, strata=strata)


def test_a_weighted_mean_and_its_error_are_those_computed_by_hand():
    score = score_of([1.0, 2.0, 4.0], weights=[1.0, 1.0, 2.0])
    # (1 + 2 + 8) / 4; residuals -7/4, -3/4, 2 · 5/4; √((49 + 9 + 100) / 16 · 3/2) / 4
    assert score.value == 2.75
    assert score.standard_error == pytest.approx(math.sqrt(158 / 16 * 3 / 2) / 4, rel=1e-12)
    assert (score.name, score.n) == ("agreement/accuracy", 3)


@given(items=arrays(float, st.integers(2, 30), elements=finite))
def test_equal_weights_give_the_usual_standard_error_of_the_mean(items):
    plain, weighted = score_of(items), score_of(items, weights=np.full(len(items), 7.0))
    expected = pytest.approx(scipy.stats.sem(items), rel=1e-9, abs=1e-9)
    assert plain.standard_error == expected
    assert weighted.standard_error == expected
    assert plain.value == pytest.approx(weighted.value) == pytest.approx(items.mean(), abs=1e-9)


def test_the_weighted_error_is_the_spread_of_the_mean_over_repetitions():
    """Weights are drawn with the items, as lengths of texts are."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        weights = rng.integers(1, 20, 60).astype(float)
        found.append(score_of(rng.normal(size=60) + 0.1 * weights, weights))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.06)


def test_the_error_of_a_single_item_is_unknown():
    score = score_of([0.7])
    assert score.value == 0.7
    assert math.isnan(score.standard_error)


def test_items_within_strata_vary_about_the_mean_of_theirs():
    strata = np.array([0, 0, 1, 1, 1])
    score = score_of([1.0, 3.0, 10.0, 11.0, 12.0], strata=strata)
    # two items of variance 2, three of variance 1, of five
    assert score.value == 7.4
    assert score.standard_error == pytest.approx(math.sqrt(2 * 2 + 3 * 1) / 5)
    assert score.influence() == pytest.approx(np.array([-1, 1, -1, 0, 1]) / 5)
    assert [each.tolist() for each in score.groups] == [[0, 1], [2, 3, 4]]


def test_a_metric_without_items_has_no_parts():
    with pytest.raises(ValueError, match="agreement/f1 has no items"):
        Score("agreement", "f1", 0.5, 0.1, 10, True).influence()
