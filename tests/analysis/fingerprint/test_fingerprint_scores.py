"""Scores of planted time courses: alike, unlike, and alike only because of the texts."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from fbn_exp.analysis.fingerprint import scores


def courses(n_texts=20, n_tokens=60, n_networks=4, noise=0.3, seed=0):
    """Pairs of courses (tokens, K) that share a source each, in another order and with other signs."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n_texts):
        shared = rng.normal(size=(n_tokens, n_networks))
        other = -(shared + noise * rng.normal(size=shared.shape))[:, ::-1]
        pairs.append((shared, other))
    return pairs


def test_correlations_are_spearmans():
    ((own, other),) = courses(n_texts=1)
    (found,) = scores.rank_correlations([(own, other)])
    for row in range(4):
        for column in range(4):
            expected = spearmanr(own[:, row], other[:, column]).statistic
            assert found[row, column] == pytest.approx(expected)


def test_a_constant_course_correlates_with_nothing():
    (found,) = scores.rank_correlations([(np.ones((10, 1)), np.arange(10.0)[:, None])])
    assert found == 0


def test_planted_likeness_is_found_whatever_the_order_and_sign():
    correlations = scores.rank_correlations(courses()).mean(axis=0)
    assert scores.fingerprint_score(correlations) > 0.9
    assert scores.fingerprint_score(correlations[:, :2]) > 0.9  # of two networks, both are matched


@pytest.mark.parametrize("null", [scores.shuffled_scores, scores.shifted_scores])
def test_nulls_destroy_likeness_that_is_bound_to_tokens(null):
    drawn = null(courses(), 30, seed=0)
    assert drawn.max() < 0.2
    assert np.array_equal(drawn, null(courses(), 30, seed=0))


def test_a_trend_over_positions_survives_other_texts():
    rng = np.random.default_rng(0)
    trend = np.arange(60.0)[:, None]
    pairs = [tuple(trend + rng.normal(size=(60, 3)) for _ in range(2)) for _ in range(10)]
    assert scores.shuffled_scores(pairs, 20, seed=0).min() > 0.9


def test_texts_of_different_lengths_are_shuffled():
    pairs = [pair for length in (10, 30, 50) for pair in courses(n_texts=2, n_tokens=length)]
    assert np.isfinite(scores.shuffled_scores(pairs, 20, seed=0)).all()


def test_intervals_cover_the_score_and_pair_models_over_the_same_texts():
    correlations = scores.rank_correlations(courses())
    one, same = scores.bootstrap_scores([correlations, correlations], 200, seed=0)
    assert np.array_equal(one, same)
    score = scores.fingerprint_score(correlations.mean(axis=0))
    assert np.quantile(one, 0.025) < score < np.quantile(one, 0.975)


def test_samples_are_disjoint_and_the_rest_is_left_out():
    correlations = scores.rank_correlations(courses(n_texts=7))
    found = scores.scores_of_samples(correlations, 3)
    assert found.shape == (2,)
    assert found[1] == pytest.approx(scores.fingerprint_score(correlations[3:6].mean(axis=0)))
    assert scores.scores_of_samples(correlations, 8).shape == (0,)


def test_p_counts_the_observed_score_as_a_draw():
    null = scores.NullScores.of(scores.FingerprintNull.texts, np.zeros(19), 0.5)
    assert null.p_value == pytest.approx(1 / 20)
