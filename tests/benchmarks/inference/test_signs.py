"""P values of paired differences by sign flips."""

import numpy as np
import pytest
import scipy.stats

from fbn_exp.benchmarks.inference.signs import sign_flip_p_value


def test_half_of_the_p_values_are_below_a_half_where_nothing_has_changed():
    rng = np.random.default_rng(0)
    found = np.array([sign_flip_p_value(rng.normal(size=25), seed) for seed in range(300)])
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


def test_a_shift_of_many_items_has_the_smallest_p_value_that_there_is():
    assert sign_flip_p_value(np.linspace(0.1, 0.2, 50)) == 1e-4
    assert sign_flip_p_value(np.linspace(0.1, 0.2, 6)) == 2 * 0.5**6
    assert sign_flip_p_value(np.zeros(6)) == 1


def test_items_that_differ_by_as_much_have_no_monte_carlo_floor():
    assert sign_flip_p_value(np.full(50, 0.1)) == pytest.approx(2 * 0.5**50)
    mixed = np.repeat([0.3, -0.3, 0.0], [30, 5, 70])
    assert sign_flip_p_value(mixed) == pytest.approx(scipy.stats.binomtest(5, 35).pvalue)


def test_differences_that_are_no_numbers_have_no_p_value():
    assert np.isnan(sign_flip_p_value(np.array([1.0, np.nan])))
