"""Exact tests, intervals and power of items that are right or wrong."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.benchmarks.inference.exact import (
    mcnemar_detectable,
    mcnemar_p_value,
    mcnemar_power,
    score_interval,
)


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_the_p_value_is_that_of_the_binomial_test(gained, lost):
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_p_value(gained, lost) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (0, 9, 40), (3, 3, 20), (0, 1, 10)])
def test_at_its_ends_the_score_test_with_the_most_likely_churn_gives_5_percent(gained, lost, n):
    for delta in score_interval(gained, lost, n):

        def surprise(share, delta=delta):
            """Minus log-likelihood, if a share of items is lost and the true difference is delta."""
            same = 1 - delta - 2 * share
            return -(
                gained * np.log(share + delta) + lost * np.log(share) + (n - gained - lost) * np.log(same)
            )

        bounds = max(0.0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12
        share = scipy.optimize.minimize_scalar(
            surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        z = (gained - lost - n * delta) / np.sqrt(n * (2 * share + delta * (1 - delta)))
        assert 2 * scipy.stats.norm.sf(abs(z)) == pytest.approx(0.05, abs=2e-4)


@given(gained=st.integers(0, 30), lost=st.integers(0, 30), more=st.integers(0, 40))
def test_the_interval_is_symmetric_holds_the_estimate_and_has_a_width(gained, lost, more):
    n = gained + lost + more
    if n == 0:
        return
    low, high = score_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert high - low > 1 / (n + 4)
    assert score_interval(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)
    narrow = score_interval(gained, lost, n, 0.9)
    assert low <= narrow[0] <= narrow[1] <= high


@pytest.mark.parametrize(("gained", "lost"), [(0.0, 0.0), (0.02, 0.02), (0.0, 0.1), (0.1, 0.3)])
def test_intervals_of_few_items_hold_the_truth(gained, lost):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(40, [gained, lost, 1 - gained - lost], size=2_000)
    known = {(a, b): score_interval(a, b, 40) for a, b in {(int(x), int(y)) for x, y, _ in counts}}
    held = [known[int(a), int(b)][0] <= gained - lost <= known[int(a), int(b)][1] for a, b, _ in counts]
    assert np.mean(held) >= 0.93


def test_the_power_of_a_pure_loss_is_that_of_a_binomial():
    # six items or more have to be lost
    assert mcnemar_power(0.2, 0.0, 40) == pytest.approx(scipy.stats.binom.sf(5, 40, 0.2))
    assert mcnemar_detectable(0.0, 5) == float("inf")
    found = mcnemar_detectable(0.0, 40)
    assert scipy.stats.binom.sf(5, 40, found) == pytest.approx(0.8, abs=1e-6)


def test_the_power_with_churn_is_that_of_simulated_experiments():
    rng = np.random.default_rng(0)
    lost, gained, _ = rng.multinomial(100, [0.2 + 0.05, 0.05, 0.7], size=4_000).T
    p_values = np.array([mcnemar_p_value(int(a), int(b)) for a, b in zip(gained, lost, strict=True)])
    assert mcnemar_power(0.2, 0.1, 100) == pytest.approx((p_values <= 0.05).mean(), abs=0.02)


def test_more_items_see_smaller_effects_and_churn_hides_them():
    assert mcnemar_detectable(0.1, 40) > mcnemar_detectable(0.1, 400) > mcnemar_detectable(0.0, 400)
