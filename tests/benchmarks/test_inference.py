import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fbn_exp.benchmarks.inference import difference, sign_flip_p_value
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core.errors import BenchmarkError

finite = st.floats(-1e3, 1e3)


def score_of(items, weights=None, metric="accuracy"):
    items = np.asarray(items, dtype=float)
    weights = None if weights is None else np.asarray(weights, dtype=float)
    return mean_score("agreement", metric, items, higher_is_better=True, weights=weights)


def without_items(value, standard_error, n=50):
    return Score("agreement", "f1", value, standard_error, n, True)


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


def test_a_constant_gain_is_known_exactly():
    rng = np.random.default_rng(0)
    before = rng.normal(size=40)
    for weights in (None, rng.integers(1, 9, 40)):
        delta = difference(score_of(before + 0.25, weights), score_of(before, weights))
        assert (delta.value, delta.ci_low, delta.ci_high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-12)


@given(
    before=arrays(float, 12, elements=finite),
    gain=arrays(float, 12, elements=finite),
    weights=arrays(float, 12, elements=st.floats(0.5, 50)),
)
def test_the_difference_is_that_of_the_values_and_its_interval_lies_between_the_extremes(
    before, gain, weights
):
    after = before + gain
    delta = difference(score_of(after, weights), score_of(before, weights))
    assert delta.value == pytest.approx(np.average(gain, weights=weights), abs=1e-9)
    gains = after - before
    assert gains.min() - 1e-9 <= delta.ci_low <= delta.ci_high <= gains.max() + 1e-9


def test_the_interval_is_that_of_the_paired_t_test_where_items_are_many():
    rng = np.random.default_rng(0)
    before = rng.normal(size=500)
    after = before + rng.normal(0.1, 0.5, size=500)
    delta = difference(score_of(after), score_of(before))
    expected = scipy.stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (delta.ci_low, delta.ci_high) == pytest.approx((expected.low, expected.high), abs=0.005)


@pytest.mark.parametrize("weighted", [False, True])
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_experiments(weighted):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        before = rng.normal(size=80)
        weights = rng.integers(1, 10, 80) if weighted else None
        after = before + rng.exponential(size=80) - 0.8  # skewed gains of 0.2 in the mean
        delta = difference(score_of(after, weights), score_of(before, weights))
        held += delta.ci_low <= 0.2 <= delta.ci_high
    assert 0.92 <= held / 400 <= 0.98


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(0)
    before = rng.normal(size=100)
    after = before + 0.1 * rng.normal(size=100)
    paired = difference(score_of(after), score_of(before))
    shuffled = difference(score_of(rng.permutation(after)), score_of(before))
    assert 5 * (paired.ci_high - paired.ci_low) < shuffled.ci_high - shuffled.ci_low


@given(gained=st.integers(0, 13), lost=st.integers(0, 13))
def test_of_right_and_wrong_items_the_p_value_is_mcnemars(gained, lost):
    before = np.repeat([0.0, 1.0, 1.0], [gained, lost, 14])
    after = np.repeat([1.0, 0.0, 1.0], [gained, lost, 14])
    found = difference(score_of(after), score_of(before)).p_value
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert found == pytest.approx(expected, abs=1e-12 if gained + lost <= 13 else 0.03)


def test_half_of_the_p_values_are_below_a_half_where_nothing_has_changed():
    rng = np.random.default_rng(0)
    found = np.array([sign_flip_p_value(rng.normal(size=25), seed) for seed in range(300)])
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


def test_a_shift_of_many_items_has_the_smallest_p_value_that_there_is():
    assert sign_flip_p_value(np.full(50, 0.1)) == 1e-4
    assert sign_flip_p_value(np.full(6, 0.1)) == 2 * 0.5**6
    assert sign_flip_p_value(np.zeros(6)) == 1


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(0)
    after, before = score_of(rng.normal(size=30)), score_of(rng.normal(size=30))
    assert difference(after, before) == difference(after, before)
    assert difference(after, before).ci_low != difference(after, before, seed=1).ci_low


def test_scores_without_items_get_the_interval_of_independent_ones():
    delta = difference(without_items(0.7, 0.03), without_items(0.6, 0.04))
    assert (delta.value, delta.ci_low, delta.ci_high) == pytest.approx((0.1, 0.1 - 0.098, 0.1 + 0.098))
    assert delta.p_value == pytest.approx(2 * scipy.stats.norm.sf(2))


@pytest.mark.parametrize(
    ("score", "baseline", "message"),
    [
        (score_of([1, 2, 3]), score_of([1, 2]), "accuracy over 3 items cannot be paired with .* over 2"),
        (score_of([1, 2]), score_of([1, 2], metric="f1"), "accuracy over 2 items .* agreement/f1 over 2"),
        (without_items(0.5, 0.1, n=10), without_items(0.5, 0.1, n=20), "over 10 items .* over 20"),
    ],
)
def test_scores_over_other_items_cannot_be_paired(score, baseline, message):
    with pytest.raises(BenchmarkError, match=message):
        difference(score, baseline)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_items_that_are_not_finite_give_no_interval(broken):
    rng = np.random.default_rng(0)
    items = rng.normal(size=50)
    spoiled = items.copy()
    spoiled[7] = broken
    for after, before in ((spoiled, items), (items, spoiled), (spoiled, spoiled)):
        delta = difference(score_of(after), score_of(before))
        assert math.isnan(delta.ci_low)
        assert math.isnan(delta.ci_high)
        assert math.isnan(delta.p_value)
        assert not math.isfinite(delta.value)


def test_a_single_item_gives_no_interval():
    delta = difference(score_of([0.7]), score_of([0.2]))
    assert delta.value == pytest.approx(0.5)
    assert math.isnan(delta.ci_low)
    assert math.isnan(delta.ci_high)


def test_each_side_of_a_difference_keeps_its_own_weights():
    # the third item is undecided with the lesion: it counts in the baseline only
    lesioned = score_of([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    baseline = score_of([0.0, 0.0, 1.0], [1.0, 1.0, 1.0])
    delta = difference(lesioned, baseline)
    assert delta.value == pytest.approx(1.0 - 1 / 3)
    many = difference(score_of([1.0, 0.0] * 60, [1.0, 0.0] * 60), score_of([0.0, 1.0] * 60))
    # with the lesion every resample has the mean 1, without it about a half
    assert many.ci_low == pytest.approx(0.5, abs=0.15)
    assert many.ci_low < many.value < many.ci_high
