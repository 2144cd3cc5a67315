import numpy as np
import pytest
import torch
from scipy.stats import hypergeom

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.networks.masks import block_shares, intersection_over_union
from fbn_exp.networks.matching import absolute_correlation, matched, partners
from fbn_exp.networks.surrogates import (
    ShuffledMasks,
    chance_of_match,
    shift_each_neuron,
    sparse,
    swap_p_value,
    upper_p_value,
)


def layout(*widths):
    return NeuronLayout.of(Site.mlp_output, [f"block.{index}" for index in range(len(widths))], widths)


def random_masks(sizes, n_neurons, rng):
    masks = torch.zeros(len(sizes), n_neurons, dtype=torch.bool)
    for row, size in enumerate(sizes):
        masks[row, rng.permutation(n_neurons)[:size]] = True
    return masks


def test_consistency_counts_on_independent_random_networks_match_the_analytic_chance_level():
    rng = np.random.default_rng(0)
    template, individual, n_neurons, minimum = 30, 24, 100, 0.15
    templates, individuals = (
        random_masks([template] * 20, n_neurons, rng),
        random_masks([individual] * 800, 100, rng),
    )
    overlap = intersection_over_union(templates, individuals).numpy()
    expected = chance_of_match([template], [individual], [n_neurons], minimum)
    assert 0.2 < expected < 0.8
    assert (overlap > minimum).mean() == pytest.approx(expected, abs=0.015)
    shuffled = ShuffledMasks(templates, layout(n_neurons))
    draws = [shuffled.intersection_over_union(sparse(individuals), rng) for _ in range(20)]
    assert np.mean(np.stack(draws) > minimum) == pytest.approx(expected, abs=0.015)


def test_the_chance_of_a_match_in_one_block_is_the_hypergeometric_tail():
    # 20 and 10 of 50, IoU > .25: shared / (30 - shared) > .25, so shared > 6
    assert chance_of_match([20], [10], [50], 0.25) == pytest.approx(hypergeom.sf(6, 50, 20, 10))


def test_shuffled_masks_in_unequal_blocks_match_the_chance_level_of_their_sizes():
    rng = np.random.default_rng(1)
    widths, sizes, other = (40, 15, 30), (10, 8, 0), (6, 9, 5)
    fixed, masks = torch.zeros(1, 85, dtype=torch.bool), torch.zeros(1, 85, dtype=torch.bool)
    for block, size, count in zip(layout(*widths).blocks, sizes, other, strict=True):
        fixed[0, block.offset : block.offset + size] = True
        masks[0, block.offset : block.offset + count] = True
    shuffled = ShuffledMasks(fixed, layout(*widths))
    drawn = np.array([shuffled.intersection_over_union(sparse(masks), rng)[0, 0] for _ in range(4_000)])
    expected = chance_of_match(sizes, other, widths, 0.2)
    blind = chance_of_match([sum(sizes)], [sum(other)], [sum(widths)], 0.2)
    assert np.mean(drawn > 0.2) == pytest.approx(expected, abs=0.03)
    assert abs(expected - blind) > 0.2  # a null that ignores blocks is another one


def test_a_shuffle_keeps_sizes_in_blocks_and_overlaps_among_the_masks():
    rng = np.random.default_rng(2)
    where = layout(20, 30)
    masks = random_masks([10, 12, 8], 50, rng)
    identity = torch.eye(50, dtype=torch.bool)
    shuffled = ShuffledMasks(identity, where)
    # against single neurons, an IoU above 0 is membership
    drawn = torch.from_numpy(shuffled.intersection_over_union(sparse(masks), rng).T > 0)
    assert (drawn != masks).any()
    assert torch.equal(drawn.sum(dim=1), masks.sum(dim=1))
    assert torch.equal(block_shares(drawn, where), block_shares(masks, where))
    assert torch.equal(intersection_over_union(drawn, drawn), intersection_over_union(masks, masks))


def test_the_matching_is_the_best_in_sum_and_leaves_rows_over_where_columns_run_out():
    similarity = np.array([[0.9, 0.8], [0.85, 0.1], [0.2, 0.3]])
    assert partners(similarity).tolist() == [1, 0, -1]
    assert matched(similarity).tolist() == [0.8, 0.85, 0]


def test_correlation_of_maps_ignores_sign_scale_and_offset():
    maps = torch.randn(3, 200, generator=torch.Generator().manual_seed(0))
    found = absolute_correlation(maps, torch.stack([5 - 2 * maps[1], torch.ones(200)]))
    assert found[1, 0] == pytest.approx(1, abs=1e-6)
    assert found[:, 1].tolist() == [0, 0, 0]
    assert found[0, 0] == pytest.approx(abs(np.corrcoef(maps[0], maps[1])[0, 1]), abs=1e-6)


def test_a_p_value_counts_the_observed_one_and_is_never_zero():
    null = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert upper_p_value(np.array([2.0, 6.0]), null) == pytest.approx([3 / 4, 1 / 4])


def test_the_swap_test_is_uniform_under_the_null_and_small_when_texts_agree():
    rng = np.random.default_rng(3)
    p = [swap_p_value(rng.poisson(2, (30, 1)), rng.poisson(2, (30, 1)), 200, rng)[0] for _ in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert swap_p_value(rng.poisson(4, (30, 1)), rng.poisson(1, (30, 1)), 999, rng)[0] == 0.001


def test_shifting_keeps_every_neurons_values_and_breaks_what_they_share():
    common = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    signals = common + 0.1 * torch.randn(400, 50, generator=torch.Generator().manual_seed(1))
    kept = signals.clone()
    shifted = shift_each_neuron(signals, torch.Generator().manual_seed(2))
    assert torch.equal(signals, kept)
    assert torch.equal(shifted.sort(dim=0).values, signals.sort(dim=0).values)
    lag = int((shifted[:, 7] == signals[0, 7]).nonzero()[0])
    assert torch.equal(shifted[:, 7], signals[:, 7].roll(lag))
    off = ~torch.eye(50, dtype=torch.bool)
    assert torch.corrcoef(signals.T)[off].mean() > 0.9
    assert torch.corrcoef(shifted.T)[off].abs().mean() < 0.15
