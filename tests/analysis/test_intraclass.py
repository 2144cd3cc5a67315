import numpy as np
import pytest
from scipy.stats import f

from fbn_exp.analysis.intraclass import intraclass_correlation, strengths

# Shrout & Fleiss 1979, table 2: six targets, four judges
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def halves(icc, n_texts, rng):
    """Strengths in two halves of texts with a given ICC, the second half stronger by 3."""
    text = np.sqrt(icc) * rng.standard_normal((1, n_texts, 1))
    return text + np.sqrt(1 - icc) * rng.standard_normal((1, n_texts, 2)) + np.array([0.0, 3.0])


def test_intraclass_correlations_are_those_of_shrout_and_fleiss():
    found = intraclass_correlation(RATINGS.astype(float))
    assert found.agreement == pytest.approx(0.29, abs=0.005)
    assert found.consistency == pytest.approx(0.71, abs=0.005)


def test_a_shift_between_measurements_is_error_for_agreement_only():
    values = np.arange(10.0)[:, None] + np.array([0.0, 5.0])
    found = intraclass_correlation(values)
    assert found.consistency == pytest.approx(1)
    # mean squares by hand: 2 · Σ(x − 4.5)² / 9 between targets, 10 · 2 · 2.5² between judges, no error
    between, judges = 2 * 82.5 / 9, 125.0
    assert found.agreement == pytest.approx(between / (between + 2 * judges / 10))


def test_a_stack_is_measured_one_by_one():
    stack = np.random.default_rng(0).standard_normal((3, 2, 8, 4))
    together = intraclass_correlation(stack)
    alone = intraclass_correlation(stack[2, 1])
    assert together.consistency.shape == (3, 2)
    assert together.agreement[2, 1] == pytest.approx(float(alone.agreement))


def test_the_interval_is_about_the_exact_one_of_normal_strengths():
    values = halves(0.6, 80, np.random.default_rng(1))
    found = strengths(values, np.roll(np.arange(80), 1), np.random.default_rng(0), 4_000)
    # Shrout & Fleiss 1979: F / F(.975; n − 1, (n − 1)(k − 1)), and F times it, for ICC(3,1)
    ratio = (1 + found.icc[0]) / (1 - found.icc[0])
    exact = [ratio / f.ppf(0.975, 79, 79), ratio * f.ppf(0.975, 79, 79)]
    low, high = ((each - 1) / (each + 1) for each in exact)
    assert [found.icc_low[0], found.icc_high[0]] == pytest.approx([low, high], abs=0.05)
    assert [found.mean.low, found.mean.high] == pytest.approx([found.icc_low[0], found.icc_high[0]])


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        found = strengths(halves(0.5, 50, rng), np.roll(np.arange(50), 1), rng, 300)
        covered += found.icc_low[0] <= 0.5 <= found.icc_high[0]
    assert 0.88 <= covered / 200 <= 0.99


def test_halves_of_texts_alike_agree_as_far_as_their_content_goes():
    rng = np.random.default_rng(3)
    topic = np.repeat(rng.standard_normal(30), 2)  # texts in pairs of a topic each
    alike = np.arange(60) ^ 1
    of_topic = topic[:, None] + 0.5 * rng.standard_normal((60, 2))
    of_text = rng.standard_normal(60)[:, None] + 0.5 * rng.standard_normal((60, 2))
    found = strengths(np.stack([of_topic, of_text]), alike, rng, 100)
    assert found.icc.min() > 0.7
    assert found.icc_content[0] == pytest.approx(found.icc[0], abs=0.15)
    assert abs(found.icc_content[1]) < 0.3


def test_a_network_that_does_not_vary_counts_in_no_mean():
    values = halves(0.6, 20, np.random.default_rng(4))
    both = np.concatenate([values, np.full_like(values, np.nan)])
    found = strengths(both, np.roll(np.arange(20), 1), np.random.default_rng(0), 50)
    assert np.isnan([found.icc[1], found.icc_low[1]]).all()
    assert found.mean.estimate == found.icc[0]
    assert np.isfinite([found.mean.low, found.mean_content.high]).all()
