import numpy as np
import pytest
from scipy.stats import binom, t, ttest_1samp

from fbn_exp.analysis.max_t import max_t


def correlated(rng, n_texts, n_means, shared=0.5):
    """Values of texts around 0, with heavy tails and a part in common to all means."""
    common = rng.laplace(size=(n_texts, 1))
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.laplace(size=(n_texts, n_means))


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_the_family_wise_error_is_that_of_the_level_under_independence_and_dependence(shared):
    rng = np.random.default_rng(0)
    families = [max_t(correlated(rng, 20, 45, shared), 99, rng).p_value.min() <= 0.05 for _ in range(400)]
    low, high = binom.ppf([0.001, 0.999], len(families), 0.05)
    assert low <= sum(families) <= high


def test_all_true_means_lie_in_their_intervals_as_often_as_they_say():
    rng = np.random.default_rng(1)
    truth = np.linspace(-1, 1, 10)
    covered = 0
    for _ in range(300):
        result = max_t(truth + correlated(rng, 25, 10), 199, rng)
        covered += bool(((result.low <= truth) & (truth <= result.high)).all())
    assert 0.91 < covered / 300 <= 0.99


def test_a_single_mean_is_tested_as_by_t():
    rng = np.random.default_rng(2)
    values = 0.35 + rng.standard_normal((40, 1))
    result = max_t(values, 20_000, rng)
    assert result.p_value[0] == pytest.approx(ttest_1samp(values[:, 0], 0).pvalue, abs=0.01)
    half = t.ppf(0.975, 39) * values.std(ddof=1) / np.sqrt(40)
    assert result.high[0] - result.mean[0] == pytest.approx(half, rel=0.05)


def test_stepping_down_helps_the_weaker_effect_and_no_null():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((30, 3))
    values[:, 0] += 3
    alone = max_t(values[:, 1:], 2_000, np.random.default_rng(0))
    beside = max_t(values, 2_000, np.random.default_rng(0))
    assert beside.p_value[0] == pytest.approx(1 / 2_001)
    # the strong effect, tested first, costs the others nothing
    assert beside.p_value[1:] == pytest.approx(alone.p_value)


def test_a_mean_of_fewer_than_two_texts_is_not_tested_and_costs_nothing():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((12, 3))
    values[:, 1] = np.nan
    values[0, 1] = 2.5
    values[:3, 2] = np.nan
    result = max_t(values, 500, np.random.default_rng(0))
    assert result.mean[1] == 2.5
    assert np.isnan([result.low[1], result.high[1], result.p_value[1]]).all()
    assert result.mean[2] == pytest.approx(values[3:, 2].mean())
    whole = max_t(values[:, [0, 2]], 500, np.random.default_rng(0))
    assert result.p_value[[0, 2]] == pytest.approx(whole.p_value)
    assert np.isnan(max_t(np.full((5, 2), np.nan), 10, rng).p_value).all()


def test_values_without_spread_are_finite():
    result = max_t(np.stack([np.zeros(10), np.full(10, 2.0)], axis=1), 999, np.random.default_rng(0))
    assert result.p_value[0] == 1
    assert result.p_value[1] < 0.02
    assert np.isfinite(result.low).all()


def test_many_means_in_parts_are_those_of_one_part(monkeypatch):
    values = np.random.default_rng(5).standard_normal((15, 40)) + np.linspace(0, 1, 40)
    whole = max_t(values, 200, np.random.default_rng(0))
    monkeypatch.setattr("fbn_exp.analysis.max_t.CHUNK_VALUES", 1_400)
    parts = max_t(values, 200, np.random.default_rng(0))
    assert (whole.p_value == parts.p_value).all()
    assert whole.low == pytest.approx(parts.low)
