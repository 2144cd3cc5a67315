import numpy as np
import pytest
import torch
from planted import chance_of_match

from fbn_exp.analysis.recurrence import (
    Templates,
    compared_with_draws,
    compared_with_texts,
    individual_maps,
    mask_null,
    matches,
    shifted_maps,
    with_mean,
    with_total,
)
from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.methods.ica import ICA
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

N_TEXTS, LENGTH, WIDTH, N_NETWORKS = 12, 120, 100, 3
LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b", "c"], [WIDTH] * 3)
N_NEURONS = LAYOUT.n_neurons
ROWS = [slice(start, start + LENGTH) for start in range(0, N_TEXTS * LENGTH, LENGTH)]


def planted_maps(rng):
    """Three networks of 20 neurons, each in a block of its own."""
    maps = np.zeros((N_NETWORKS, N_NEURONS))
    for network in range(N_NETWORKS):
        maps[network, network * WIDTH + rng.permutation(WIDTH)[:20]] = 1
    return maps


def templates_of(maps, threshold, minimum_iou):
    return Templates(FunctionalNetworks(maps, LAYOUT), threshold, minimum_iou)


def texts_with(maps_of_text, rng):
    """Neurons outside all networks are as loud as members, but go together with nothing."""
    texts = []
    for text in range(N_TEXTS):
        maps = maps_of_text(text)
        alone = (maps.sum(axis=0) == 0) * rng.laplace(size=(LENGTH, N_NEURONS))
        texts.append(rng.laplace(size=(LENGTH, N_NETWORKS)) @ maps + alone)
    signals = np.concatenate(texts) + 0.2 * rng.standard_normal((N_TEXTS * LENGTH, N_NEURONS))
    return torch.from_numpy(signals).float()


def decompose(text):
    return ICA(n_components=N_NETWORKS, max_starts=1).fit(text).maps_


def compared(templates, signals, seed=0):
    """Observed matches beside both nulls."""
    rng = np.random.default_rng(seed)
    individual = individual_maps(signals, ROWS, decompose)
    shifted = shifted_maps(signals, ROWS, decompose, torch.Generator().manual_seed(seed))
    found, null = matches(templates, individual), matches(templates, shifted)
    masks = mask_null(templates, individual, 50, rng)
    by_masks = compared_with_draws(with_total(found.count.sum(axis=0)), with_total(masks.count))
    by_shift = compared_with_texts(with_total(found.count), with_total(null.count), False, 500, rng)
    return found, by_masks, by_shift


def test_networks_that_recur_in_every_text_are_counted_and_exceed_both_nulls():
    rng = np.random.default_rng(0)
    maps = planted_maps(rng)
    templates = templates_of(torch.from_numpy(maps).float(), ZThreshold(), 0.2)
    signals = texts_with(lambda _: maps, rng)
    kept = signals.clone()
    found, by_masks, by_shift = compared(templates, signals)
    assert torch.equal(signals, kept)
    assert found.count.sum(axis=0).tolist() == [N_TEXTS] * 3
    assert found.recurring.sum() == N_TEXTS * N_NETWORKS
    assert found.iou.mean() > 0.9
    assert found.correlation.mean() > 0.9
    assert by_masks.p_value == pytest.approx([1 / 51] * 4)
    assert by_shift.p_value.max() < 0.02
    assert by_masks.expected[-1] < 5


def test_networks_of_each_text_alone_do_not_exceed_masks_of_their_sizes_and_blocks():
    rng = np.random.default_rng(1)
    templates = templates_of(torch.from_numpy(planted_maps(rng)).float(), ZThreshold(), 0.1)
    found, by_masks, _ = compared(templates, texts_with(lambda _: planted_maps(rng), rng))
    total = found.count.sum()
    # 20 of 100 neurons in the same block as the template, each by chance
    expected = N_TEXTS * N_NETWORKS * chance_of_match([20], [20], [WIDTH], 0.1)
    assert by_masks.expected[-1] == pytest.approx(expected, rel=0.1)
    assert total == pytest.approx(expected, abs=10)
    assert by_masks.p_value[-1] > 0.02


def test_networks_of_large_variance_alone_do_not_exceed_shifted_signals():
    rng = np.random.default_rng(2)
    loud = np.ones(N_NEURONS)
    loud[:10] = 30  # in every text the same neurons are loud, and nothing goes together
    signals = torch.from_numpy(loud * rng.laplace(size=(N_TEXTS * LENGTH, N_NEURONS))).float()
    template = torch.zeros(1, N_NEURONS)
    template[0, :10] = 1
    _, by_masks, by_shift = compared(templates_of(template, ZThreshold(), 0.2), signals)
    assert by_masks.p_value[0] < 0.02  # random masks would call this consistent
    assert by_shift.p_value[0] > 0.05
    assert by_shift.expected[0] > 10


def test_the_mask_null_keeps_sizes_by_blocks():
    rng = np.random.default_rng(3)
    maps = torch.rand(4, N_NEURONS, generator=torch.Generator().manual_seed(0))
    maps[:, WIDTH:] *= 0.1  # the largest weights are all in the first block
    templates = templates_of(maps[:2], TopFraction(0.1), 0.1)
    assert block_shares(templates.masks, LAYOUT)[:, 0].tolist() == [1, 1]
    null = mask_null(templates, [maps[2:]] * 30, 20, rng)
    expected = 60 * chance_of_match([30, 0, 0], [30, 0, 0], [WIDTH] * 3, 0.1)
    assert null.count.mean(axis=0) == pytest.approx([expected] * 2, rel=0.1)


def test_a_text_that_cannot_be_decomposed_is_named():
    signals = torch.randn(20, N_NEURONS, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match=r"text 1 of 2: .*analysis\.dataset\.min_tokens"):
        individual_maps(signals, [slice(0, 18), slice(18, 20)], decompose)


def test_totals_and_means_come_last():
    assert with_total(np.array([[1.0, 2.0]])).tolist() == [[1, 2, 3]]
    assert with_mean(np.array([1.0, 2.0])).tolist() == [1, 2, 1.5]
