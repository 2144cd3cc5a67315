import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fbn_exp.benchmarks.inference.paired import difference, right_or_wrong
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core.errors import BenchmarkError

finite = st.floats(-1e3, 1e3)


def score_of(items, weights=None, metric="accuracy"):
    items = np.asarray(items, dtype=float)
    weights = None if weights is None else np.asarray(weights, dtype=float)
    return mean_score("agreement", metric, items, higher_is_better=True, weights=weights)


def without_items(value, standard_error, n=50):
    return Score("agreement", "f1", value, standard_error, n, True)


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
    if right_or_wrong(score_of(after, weights), score_of(before, weights)):
        assert delta.ci_low <= delta.value <= delta.ci_high
    elif (gains != 0).any():
        assert gains.min() - 1e-9 <= delta.ci_low <= delta.ci_high <= gains.max() + 1e-9
    elif np.ptp(before) > 0:
        assert delta.ci_low <= 0 <= delta.ci_high


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
    assert found == pytest.approx(expected, abs=1e-12)


def test_five_items_cannot_show_a_difference_of_any_size():
    rng = np.random.default_rng(0)
    gains = rng.uniform(1, 2, size=6)
    five, six = (difference(score_of(gains[:n]), score_of(np.zeros(n))) for n in (5, 6))
    assert five.p_value == 2 / 2**5
    assert math.isinf(five.detectable)
    assert six.p_value == 2 / 2**6
    assert 0 < six.detectable < six.value


def test_items_that_are_all_equal_say_nothing_of_others():
    same = score_of([1.5] * 30)
    delta = difference(same, same)
    assert (delta.value, delta.p_value, delta.detectable) == (0, 1, math.inf)
    assert math.isnan(delta.ci_low)
    assert math.isnan(delta.ci_high)
    assert math.isnan(delta.equivalent_within)


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(0)
    after, before = score_of(rng.normal(size=30)), score_of(rng.normal(size=30))
    assert difference(after, before) == difference(after, before)
    assert difference(after, before).ci_low != difference(after, before, seed=1).ci_low


def test_scores_without_items_get_the_interval_of_independent_ones():
    delta = difference(without_items(0.7, 0.03), without_items(0.6, 0.04))
    assert (delta.value, delta.ci_low, delta.ci_high) == pytest.approx(
        (0.1, 0.1 - 0.098, 0.1 + 0.098), abs=1e-5
    )
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


def test_what_scores_without_items_could_have_seen_is_known_from_their_errors():
    delta = difference(without_items(0.7, 0.03), without_items(0.6, 0.04))
    # an error of .05; 1.960 + .842 and 1.645 of them
    assert delta.detectable == pytest.approx(0.05 * 2.8016, abs=1e-4)
    assert delta.equivalent_within == pytest.approx(0.1 + 0.05 * 1.6449, abs=1e-4)


def test_items_that_are_right_or_wrong_have_a_width_where_none_differs():
    right = np.repeat([0.0, 1.0], [15, 25])
    delta = difference(score_of(right), score_of(right))
    z_squared = scipy.stats.norm.ppf(0.975) ** 2
    assert (delta.value, delta.p_value) == (0, 1)
    assert delta.ci_high == -delta.ci_low == pytest.approx(z_squared / (40 + z_squared))
    # at least 6 of 40 items must be lost, in 80% of all experiments
    assert scipy.stats.binom.sf(5, 40, delta.detectable) == pytest.approx(0.8, abs=1e-6)


def test_a_distance_that_is_0_everywhere_is_not_taken_for_wrong_answers():
    distance = replace(score_of(np.zeros(12), metric="kl"), from_untouched=True)
    delta = difference(distance, distance)
    assert delta.value == 0
    assert math.isnan(delta.ci_low)


def test_other_items_that_do_not_differ_could_have_moved_by_their_range_in_a_few_cases():
    items = np.linspace(2.0, 5.0, 50)
    delta = difference(score_of(items), score_of(items))
    assert delta.ci_high == -delta.ci_low == pytest.approx(3 * (1 - 0.025 ** (1 / 50)))
    assert delta.equivalent_within == pytest.approx(3 * (1 - 0.05 ** (1 / 50)))
    assert scipy.stats.binom.sf(5, 50, delta.detectable / 3) == pytest.approx(0.8, abs=1e-6)


def test_the_difference_that_could_have_been_seen_is_found_in_80_percent_of_experiments():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(200, 60))
    after = before + rng.normal(size=(200, 60)) * 0.5
    detectable = np.median(
        [difference(score_of(a), score_of(b)).detectable for a, b in zip(after, before, strict=True)]
    )
    shifted = [
        difference(score_of(a + detectable), score_of(b)).p_value for a, b in zip(after, before, strict=True)
    ]
    assert np.mean(np.array(shifted) < 0.05) == pytest.approx(0.8, abs=0.06)


def test_equivalence_is_said_wrongly_in_5_percent_of_experiments():
    """Where the truth is at the bound, two one-sided tests say equivalent in 5%."""
    rng = np.random.default_rng(0)
    before = rng.normal(size=(400, 60))
    after = before + 0.3 + rng.normal(size=(400, 60))
    within = [
        difference(score_of(a), score_of(b)).equivalent_within for a, b in zip(after, before, strict=True)
    ]
    assert np.mean(np.array(within) < 0.3) == pytest.approx(0.05, abs=0.03)


def balanced(right, labels):
    right, labels = np.asarray(right, dtype=float), np.asarray(labels)
    weights = 1 / np.bincount(labels)[labels]
    return mean_score("tweets", "balanced_acc", right, higher_is_better=True, weights=weights, strata=labels)


def test_a_model_that_always_says_the_same_has_no_error_and_a_change_has_only_that_of_the_other():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    collapsed, intact = balanced(labels == 0, labels), balanced(rng.random(100) < 0.8, labels)
    assert (collapsed.value, collapsed.standard_error) == (pytest.approx(1 / 3), 0)
    delta = difference(collapsed, intact)
    assert (delta.ci_high - delta.ci_low) / 3.92 == pytest.approx(intact.standard_error, rel=0.12)
    by_hand = np.sqrt(
        sum(np.var(intact.items[labels == each], ddof=1) / n for each, n in ((0, 60), (1, 30), (2, 10)))
    )
    assert intact.standard_error == pytest.approx(by_hand / 3)
    same = difference(collapsed, collapsed)
    assert same.ci_low < 0 < same.ci_high


def test_a_stratum_of_one_item_has_no_interval():
    delta = difference(balanced([1, 1, 0], [0, 0, 1]), balanced([1, 0, 1], [0, 0, 1]))
    assert math.isnan(delta.ci_low)


def test_strata_whose_items_are_all_undecided_do_not_count():
    labels = np.repeat([0, 1], 10)
    weights = np.repeat([1.0, 0.0], 10)
    items = np.tile([1.0, 0.0], 10)
    score = mean_score("a", "b", items, higher_is_better=True, weights=weights, strata=labels)
    other = mean_score(
        "a", "b", 1 - items[::-1] * items, higher_is_better=True, weights=weights, strata=labels
    )
    assert np.isfinite(difference(score, other).ci_low)
