"""Scores among the scores of their controls, by hand and over many planted experiments."""

import math

import numpy as np
import pytest
import scipy.stats

from fbn_exp.benchmarks.inference.draws import among_draws, rank_detectable, rank_p_value
from fbn_exp.benchmarks.inference.paired import difference
from fbn_exp.benchmarks.score import Score, mean_score


def score_of(items, higher_is_better=True, weights=None):
    items = np.asarray(items, dtype=float)
    return mean_score("agreement", "accuracy", items, higher_is_better=higher_is_better, weights=weights)


def plain(value, error=0.01, higher_is_better=True):
    return Score("agreement", "f1", value, error, 50, higher_is_better)


def test_p_counts_the_draws_that_reach_the_score():
    draws = [plain(each) for each in (0.5, 0.6, 0.7, 0.2)]
    found = among_draws(plain(0.3), draws)
    # one draw is worse; three are better
    assert (found.p_harm, found.p_gain) == (2 / 5, 4 / 5)
    # median .5: distances .2 of the score, and 0, .1, .2, .3
    assert found.p_value == 3 / 5
    assert (found.n_draws, found.smallest_p) == (4, 1 / 5)
    assert found.difference == pytest.approx(0.3 - 0.5)
    assert found.effect_size == pytest.approx(-0.2 / np.std([0.5, 0.6, 0.7, 0.2], ddof=1))
    loss = among_draws(
        plain(0.3, higher_is_better=False), [plain(each, higher_is_better=False) for each in (0.5, 0.6)]
    )
    assert (loss.p_harm, loss.p_gain) == (1, 1 / 3)


def test_equal_scores_count_as_reached_also_if_they_are_infinite():
    assert among_draws(plain(0.4), [plain(0.4)] * 4).p_value == 1
    lost = [plain(math.inf, higher_is_better=False), plain(3.0, higher_is_better=False)]
    found = among_draws(plain(math.inf, higher_is_better=False), lost)
    assert found.p_harm == 2 / 3
    assert found.p_value == 1


def test_a_score_that_is_no_number_has_no_p():
    found = among_draws(plain(math.nan), [plain(0.1), plain(0.2)])
    assert math.isnan(found.p_value)
    assert math.isnan(found.p_harm)
    assert math.isnan(found.ci_low)


def test_a_single_draw_has_no_interval_and_can_show_nothing():
    found = among_draws(score_of([0.0, 1.0]), [score_of([1.0, 1.0])])
    assert math.isnan(found.ci_low)
    assert found.smallest_p == 0.5
    assert rank_detectable(np.arange(5.0)) == rank_detectable(np.arange(18.0)) == math.inf


def test_the_shift_that_a_rank_finds_is_found_in_80_percent_of_experiments():
    """On the side that is harder to see; normal, skewed and heavy-tailed draws."""
    rng = np.random.default_rng(0)
    shapes = {
        "normal": rng.normal,
        "lognormal": rng.lognormal,
        "t": lambda size: rng.standard_t(3, size=size),
    }
    for shape, sample in shapes.items():
        for n_draws in (19, 99):
            pools = sample(size=(2_000, n_draws + 1))
            shifts = np.array([rank_detectable(pool[1:]) for pool in pools])
            power = []
            for sign in (1, -1):
                shifted = pools.copy()
                shifted[:, 0] += sign * shifts
                distances = np.abs(shifted - np.median(shifted, axis=1, keepdims=True))
                power.append(((distances >= distances[:, :1]).mean(axis=1) <= 0.05).mean())
            assert min(power) == pytest.approx(0.8, abs=0.05), (shape, n_draws)
    # the two-sided normal quantiles, as draws become many
    assert rank_detectable(rng.normal(size=9_999)) == pytest.approx(1.96 + 0.8416, abs=0.06)


def test_the_shift_that_a_rank_finds_by_hand():
    # 0 … 18: median 9, farthest draw 9 away, quantiles 3.6 and 14.4
    assert rank_detectable(np.arange(19.0)) == pytest.approx(9 + 5.4)
    # the upper tail makes a shift down harder to see: quantiles 1 and 4, median 2, farthest 98
    skewed = np.array([0.0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 4, 4, 50, 100])
    low, high = np.quantile(skewed, [0.2, 0.8])
    assert rank_detectable(skewed) == pytest.approx(98 + max(2 - low, high - 2))


def test_one_sided_p_sees_the_short_side_of_skewed_draws():
    lognormal = np.exp(scipy.stats.norm.ppf(np.arange(1, 100) / 100))
    draws = [plain(each, higher_is_better=False) for each in lognormal]
    found = among_draws(plain(0.9 * lognormal.min(), higher_is_better=False), draws)
    assert found.p_gain == found.p_side == 0.01
    assert found.p_value == 0.27
    assert not found.is_harm


def test_the_side_is_that_of_the_ranks_not_of_the_mean():
    values = [*np.linspace(0.9, 1.1, 97), 1000.0, 1000.0]
    found = among_draws(
        plain(5.0, higher_is_better=False), [plain(each, higher_is_better=False) for each in values]
    )
    assert found.difference < 0  # better than the mean
    assert (found.p_value, found.p_harm, found.is_harm) == (0.03, 0.03, True)


def planted(rng, n_items=60, n_draws=20, shift=0.0):
    """Score and draws whose effects vary over draws, items, and both."""
    item = rng.normal(size=n_items)
    draw = rng.normal(size=(n_draws + 1, 1))
    values = item + 0.5 * draw + 0.7 * rng.normal(size=(n_draws + 1, n_items))
    values[0] += shift - 0.5 * draw[0, 0]
    return score_of(values[0]), [score_of(each) for each in values[1:]]


def test_the_interval_over_items_and_draws_holds_the_truth_in_95_percent_of_experiments():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        score, draws = planted(rng, shift=0.4)
        found = among_draws(score, draws)
        held.append(found.ci_low <= 0.4 <= found.ci_high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_few_draws_make_the_interval_wider_and_so_do_few_items():
    rng = np.random.default_rng(1)

    def width(**sizes):
        widths = []
        for _ in range(20):
            found = among_draws(*planted(rng, **sizes))
            widths.append(found.ci_high - found.ci_low)
        return np.median(widths)

    usual = width()
    assert width(n_draws=4) > 1.3 * usual
    assert width(n_items=10) > 1.2 * usual


def test_equal_draws_leave_the_interval_of_the_paired_difference():
    rng = np.random.default_rng(0)
    items, control = rng.normal(size=200), rng.normal(size=200)
    found = among_draws(score_of(items), [score_of(control)] * 3)
    error = np.std(items - control, ddof=1) / np.sqrt(200)
    assert (found.ci_high - found.ci_low) / 3.92 == pytest.approx(error, rel=0.1)
    assert math.isnan(found.effect_size)


def test_without_items_the_spread_of_the_draws_and_the_error_of_the_score_add_up():
    found = among_draws(plain(0.5, 0.03), [plain(0.4), plain(0.6)])
    half = 1.96 * math.hypot(0.03, 0.1)
    assert (found.ci_low, found.ci_high) == pytest.approx((-half, half), abs=1e-3)
    assert found.equivalent_within == pytest.approx(1.6449 * math.hypot(0.03, 0.1), abs=1e-3)


def test_p_is_uniform_for_one_more_draw_whatever_the_distribution():
    rng = np.random.default_rng(0)
    pools = rng.exponential(size=(3_000, 100)) ** 2  # skewed, as losses of broken models
    distances = np.abs(pools - np.median(pools, axis=1, keepdims=True))
    for statistics in (pools, -pools, distances):
        p_values = np.array([rank_p_value(each) for each in statistics])
        assert scipy.stats.kstest(p_values - rng.random(3_000) / 100, "uniform").pvalue > 0.001
        assert (p_values <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_where_no_draw_differs_the_items_tell_how_much_might_have_been_missed():
    right = np.repeat([0.0, 1.0], [10, 30])
    found = among_draws(score_of(right), [score_of(right)] * 20)
    alone = difference(score_of(right), score_of(right))
    assert (found.p_value, found.difference) == (1, 0)
    assert found.ci_low == alone.ci_low < 0 < found.ci_high == alone.ci_high
    assert found.detectable == alone.detectable
