import numpy as np
import pytest
import torch

from fbn_exp.analysis.retest import most_alike, retest, temporal_weights
from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.least_squares import least_squares_courses

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


def test_time_courses_and_maps_are_those_of_the_signals_that_they_make():
    rng = np.random.default_rng(0)
    courses, maps = rng.standard_normal((50, 4)), rng.standard_normal((4, 200))
    courses -= courses.mean(axis=0)
    signals = torch.from_numpy(courses @ maps + 3 * rng.standard_normal(200)).float()
    found = least_squares_courses(signals, torch.from_numpy(maps).float())
    assert found.numpy() == pytest.approx(courses, abs=1e-4)
    scale = courses.std(axis=0)[:, None]
    assert (temporal_weights(found) @ signals).numpy() == pytest.approx(maps * scale, abs=1e-4)


def retested(signals, rows, maps, masks):
    return retest(signals, rows, maps, masks, np.random.default_rng(0), draws=200)


def test_what_texts_have_of_their_own_recurs_in_their_other_half():
    found = retested(*planted(own_share=1))
    assert found.n_texts == N_TEXTS
    assert found.strengths.icc.min() > 0.9
    assert (found.strengths.icc_low > 0.8).all()
    assert found.strengths.icc_content.max() < 0.5
    assert found.text_identification.min() == 1
    assert (found.own_similarity > found.other_similarity + 0.1).all()
    assert (found.own_similarity > found.content_similarity + 0.1).all()
    assert found.beyond_content.max() < 0.05


def test_texts_that_do_not_differ_are_not_told_apart_but_their_networks_are():
    found = retested(*planted(own_share=0))
    assert np.abs(found.strengths.icc).max() < 0.6
    assert found.text_identification.max() < 0.3
    assert found.own_similarity.min() > 0.9
    assert found.beyond_content.min() > 0.05
    assert found.network_identification.min() == 1
    assert found.network_identification_across.min() == 1


def test_a_pattern_of_the_text_alone_is_not_taken_for_the_network():
    # in every text other neurons go with each course: halves share a pattern, texts do not
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.standard_normal((N_NETWORKS, N_NEURONS))).float()
    signals = []
    for _ in range(N_TEXTS):
        own = 3 * rng.standard_normal((N_NETWORKS, N_NEURONS)) + 0.3 * maps.numpy()
        signals.append(rng.standard_normal((LENGTH, N_NETWORKS)) @ own)
    values = torch.from_numpy(np.concatenate(signals)).float()
    found = retested(values, Rows((LENGTH,) * N_TEXTS), maps, maps > 1)
    assert found.text_identification.min() > 0.6
    assert found.network_identification.mean() > found.network_identification_across.mean() + 0.05


def test_texts_alike_in_content_show_what_is_content():
    # pairs of texts with one topic, which gives each network its map and the mean signal
    rng = np.random.default_rng(1)
    signals, rows, maps, masks = planted(own_share=0, noise=0.1)
    values = signals.numpy().reshape(N_TEXTS, LENGTH, N_NEURONS)
    for topic in range(N_TEXTS // 2):
        gain, mean = 1 + 0.8 * rng.uniform(-1, 1, N_NEURONS), 5 * rng.standard_normal(N_NEURONS)
        for text in (2 * topic, 2 * topic + 1):
            part = values[text]
            values[text] = (part - part.mean(axis=0)) * gain + mean + 0.1 * rng.standard_normal(N_NEURONS)
    found = retested(torch.from_numpy(values.reshape(-1, N_NEURONS)).float(), rows, maps, masks)
    own, alike, others = found.content
    assert own > 0.9
    assert alike > 0.9
    assert abs(others) < 0.2
    assert found.content_similarity == pytest.approx(found.own_similarity, abs=0.02)
    assert (found.own_similarity > found.other_similarity + 0.05).all()


def test_first_tokens_are_in_neither_half():
    signals, rows, maps, masks = planted(own_share=1)
    loud = signals.clone()
    loud[[part.start for part in rows.slices]] *= 1_000
    without = torch.cat([signals[part.start + 1 : part.stop] for part in rows.slices])
    expected = retested(without, Rows((LENGTH - 1,) * N_TEXTS, skipped=1), maps, masks)
    found = retested(loud, rows, maps, masks)
    assert found.strengths.icc == pytest.approx(expected.strengths.icc)
    assert found.own_similarity == pytest.approx(expected.own_similarity)


def test_every_text_is_paired_with_the_other_that_is_most_alike():
    content = np.array([[9.0, 0.8, 0.1, 0.2], [0.7, 9, 0.3, 0.1], [0.1, 0.2, 9, 0.9], [0.3, 0.1, 0.6, 9]]) / 9
    assert most_alike(content).tolist() == [1, 0, 3, 2]


def test_a_network_without_members_has_no_strength():
    signals, rows, maps, masks = planted(own_share=1)
    masks[1] = False
    found = retested(signals, rows, maps, masks)
    assert np.isnan(found.strengths.icc[1])
    assert np.isfinite(found.strengths.icc[[0, 2]]).all()
    assert np.isfinite([found.strengths.mean.estimate, found.strengths.mean.low]).all()


def test_short_texts_are_left_out_and_too_few_refused():
    signals, _, maps, masks = planted(own_share=1)
    # halves of 4 tokens, without the first, cannot carry 3 courses
    rows = Rows([60] * 5 + [10] * 90)
    assert retested(signals, rows, maps, masks).n_texts == 5
    with pytest.raises(
        SignalError, match=r"at least 10 tokens for 3 networks, first tokens left out.* are 0"
    ):
        retested(signals, Rows((9,) * 133), maps, masks)
