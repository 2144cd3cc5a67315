import numpy as np
import pytest
import torch

from fbn_exp.analysis.retest import intraclass_correlation, retest, text_maps
from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.least_squares import least_squares_courses

# Shrout & Fleiss 1979, table 2: six targets, four judges
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
N_TEXTS, LENGTH, N_NEURONS, N_NETWORKS = 20, 60, 300, 3


def planted(own_share, noise=0.3, seed=0):
    """Texts whose networks have an amplitude and a map of their own, the same in both halves."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((N_NETWORKS, N_NEURONS))
    for network in range(N_NETWORKS):
        maps[network, 40 * network : 40 * network + 40] = rng.uniform(1, 2, 40)
    rows = []
    for _ in range(N_TEXTS):
        amplitude = 1 + own_share * rng.uniform(-0.8, 0.8, (N_NETWORKS, 1))
        change = 1 + own_share * rng.uniform(-0.8, 0.8, maps.shape)
        courses = rng.standard_normal((LENGTH, N_NETWORKS))
        # both halves carry each network equally, whatever the draw
        courses -= courses.mean(axis=0)
        for half in (slice(0, LENGTH // 2), slice(LENGTH // 2, LENGTH)):
            courses[half] /= courses[half].std(axis=0)
        rows.append(courses @ (amplitude * change * maps) + 5 * rng.standard_normal(N_NEURONS))
    signals = np.concatenate(rows) + noise * rng.standard_normal((N_TEXTS * LENGTH, N_NEURONS))
    maps = torch.from_numpy(maps).float()
    return torch.from_numpy(signals).float(), Rows((LENGTH,) * N_TEXTS), maps, maps > 0


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


def test_time_courses_and_maps_are_those_of_the_signals_that_they_make():
    rng = np.random.default_rng(0)
    courses, maps = rng.standard_normal((50, 4)), rng.standard_normal((4, 200))
    courses -= courses.mean(axis=0)
    signals = torch.from_numpy(courses @ maps + 3 * rng.standard_normal(200)).float()
    found = least_squares_courses(signals, torch.from_numpy(maps).float())
    assert found.numpy() == pytest.approx(courses, abs=1e-4)
    scale = courses.std(axis=0)[:, None]
    assert text_maps(signals, found).numpy() == pytest.approx(maps * scale, abs=1e-4)


def test_what_texts_have_of_their_own_recurs_in_their_other_half():
    found = retest(*planted(own_share=1))
    assert found.n_texts == N_TEXTS
    assert found.icc.min() > 0.9
    assert found.identification.min() == 1
    assert (found.own_similarity > found.other_similarity + 0.1).all()


def test_texts_that_do_not_differ_are_not_told_apart():
    found = retest(*planted(own_share=0))
    assert np.abs(found.icc).max() < 0.6
    assert found.identification.max() < 0.3
    assert found.own_similarity.min() > 0.9


def test_a_network_without_members_has_no_strength():
    signals, rows, maps, masks = planted(own_share=1)
    masks[1] = False
    found = retest(signals, rows, maps, masks)
    assert np.isnan(found.icc[1])
    assert np.isfinite(found.icc[[0, 2]]).all()


def test_short_texts_are_left_out_and_too_few_refused():
    signals, _, maps, masks = planted(own_share=1)
    rows = Rows([60] * 5 + [9] * 100)  # halves of 4 tokens cannot carry 3 courses
    assert retest(signals, rows, maps, masks).n_texts == 5
    with pytest.raises(SignalError, match="at least 10 tokens for 3 networks, here are 0"):
        retest(signals, Rows((9,) * 133), maps, masks)
