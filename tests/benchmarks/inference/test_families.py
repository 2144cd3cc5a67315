"""Corrections for many tests: what they give by hand, and how often they err."""

import numpy as np
import pytest

from fbn_exp.benchmarks.inference.families import can_pass, holm, max_t_over_draws, max_t_over_items


def test_many_p_values_are_corrected_as_holm_does():
    # the example of R's p.adjust(c(.01, .02, .03, .04), "holm")
    assert holm(np.array([0.04, 0.01, np.nan, 0.03, 0.02])) == pytest.approx(
        [0.06, 0.04, np.nan, 0.06, 0.06], nan_ok=True
    )


def test_without_a_known_p_value_nothing_is_corrected():
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()


def test_few_draws_cannot_pass_many_tests():
    assert can_pass(0.01, 5)
    assert not can_pass(0.01, 10)


def test_the_largest_deviation_of_each_draw_is_what_a_score_has_to_exceed():
    values = np.array(
        [
            # networks: far out, and in the middle
            [9.0, 0.5],
            [1.0, 1.0],
            [0.0, 0.0],
            [1.0, 0.9],
            [0.0, 0.1],
        ]
    )
    assert max_t_over_draws(values) == pytest.approx([1 / 5, 1.0])
    with_nan = np.column_stack([values, np.full(5, 2.0), [np.nan, 1, 2, 3, 4]])
    assert max_t_over_draws(with_nan) == pytest.approx([1 / 5, 1.0, 1.0, np.nan], nan_ok=True)
    assert np.isnan(max_t_over_draws(np.full((3, 2), np.nan))).all()


def test_a_single_job_needs_no_correction():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 1))
    distances = np.abs(values - values.mean())[:, 0]
    assert max_t_over_draws(values)[0] == pytest.approx((distances >= distances[0]).mean())


def test_any_of_ten_random_networks_is_called_different_in_5_percent_of_sweeps():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(2_000):
        values = rng.exponential(size=(20, 10)) + rng.normal(size=(20, 1))
        errors.append(max_t_over_draws(values).min() <= 0.05)
    assert np.mean(errors) == pytest.approx(0.05, abs=0.02)


def test_ten_networks_can_be_shown_with_99_draws_where_holm_could_not():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 10))
    values[0] += 12
    assert (max_t_over_draws(values) == 0.01).all()
    assert not can_pass(0.01, 10)


def test_any_of_many_jobs_without_effect_is_called_different_in_5_percent_of_sweeps():
    rng = np.random.default_rng(0)
    errors = []
    for seed in range(1_000):
        # items are shared by the jobs; the last two jobs score another task
        differences = np.full((60, 6), np.nan)
        differences[:40, :4] = rng.normal(size=(40, 4)) + rng.normal(size=(40, 1))
        differences[40:, 4:] = rng.normal(size=(20, 2))
        errors.append(np.nanmin(max_t_over_items(differences, seed, draws=199)) <= 0.05)
    assert np.mean(errors) == pytest.approx(0.05, abs=0.02)
