"""The empirical null per block: calibrated on noise, whatever the scale of the blocks."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm, t
from synthetic import lay_out

from fbn_exp.thresholds import null
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.fdr import FalseDiscoveryRate
from fbn_exp.thresholds.null import null_scores

GROWING = 1.1 ** torch.arange(30)


def noise(n_maps, blocks, width, growth=1.1, seed=0):
    """Maps of noise whose standard deviation grows by a factor from block to block."""
    maps = torch.randn(n_maps, blocks * width, generator=torch.Generator().manual_seed(seed))
    return maps * (growth ** torch.arange(blocks)).repeat_interleave(width)


@pytest.mark.parametrize("growth", [1.0, 1.1])
@pytest.mark.parametrize(("blocks", "width"), [(30, 576), (30, 64), (6, 50)])
def test_p_values_of_noise_are_uniform_in_every_block(blocks, width, growth):
    layout = lay_out(blocks, width)
    maps = noise(23_040 // width, blocks, width, growth)
    p = torch.special.ndtr(-null_scores(maps, layout))
    assert float((p < 0.05).double().mean()) == pytest.approx(0.05, abs=0.006)
    assert float((p < 0.001).double().mean()) < 0.002
    for block in layout.blocks[:: blocks // 3]:
        # location and scale are estimated from the same weights, so more even than uniform, if at all
        assert kstest(p[:, block.columns].flatten(), "uniform").statistic < (0.03 if width > 50 else 0.05)


@pytest.mark.parametrize("pole", Pole)
def test_noise_of_growing_scale_has_next_to_no_members(pole):
    maps = noise(20, 30, 576)
    rule = FalseDiscoveryRate(0.05, pole=pole)
    assert rule.masks(maps, lay_out(30, 576)).sum() <= 4
    # without its blocks it has over a thousand in every map
    assert rule.masks(maps).sum() > 20_000


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_rate_of_false_members_is_the_nominal_one_among_blocks_of_different_scale(rate):
    layout, maps = lay_out(30, 576), noise(20, 30, 576)
    planted = torch.zeros(maps.shape, dtype=torch.bool)
    planted[:, ::50] = True
    scale = GROWING.repeat_interleave(576)
    maps += planted * 4 * scale
    masks = FalseDiscoveryRate(rate).masks(maps, layout)
    false = (masks & ~planted).sum(dim=1) / masks.sum(dim=1)
    # the shares add up over maps to the rate times the share of neurons that are not planted, or less
    assert 0.5 * rate < false.mean() < 1.05 * rate
    assert (masks & planted).sum() / planted.sum() > 0.7


def test_scores_of_one_block_by_hand():
    # median 3, absolute deviations 2, 0, 1, 1, 7 of the weights that are not 0: their median is 1
    scores = null_scores(torch.tensor([[1.0, 3.0, 2.0, 4.0, 10.0, 0.0]]))
    degrees = 0.5 * 5 / 1.3607  # too few: 2 are taken
    assert degrees < 2
    expected = [
        np.copysign(np.sqrt(2 * np.log1p(q**2 / 2)) * 17 / 19, q)
        for q in np.array([-2, 0, -1, 1, 7, -3]) / 1.482602
    ]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-6)


@pytest.mark.parametrize(("degrees", "tolerance"), [(5, 0.04), (40, 0.005), (200, 0.001)])
def test_quantiles_of_t_become_those_of_a_normal(degrees, tolerance):
    quantiles = np.linspace(-6, 6, 49)
    found = null._as_normal(quantiles, np.array([float(degrees)]))
    expected = np.sign(quantiles) * norm.isf(t.sf(np.abs(quantiles), degrees))
    np.testing.assert_allclose(found, expected, atol=tolerance * 6)


def test_blocks_of_equal_scale_share_one_and_others_keep_their_own():
    maps = noise(1, 30, 576, growth=1.0)
    together = null_scores(maps)
    torch.testing.assert_close(null_scores(maps, lay_out(30, 576)), together, atol=0.25, rtol=0.03)
    uneven = null_scores(noise(1, 30, 576, growth=2.0), lay_out(30, 576))
    torch.testing.assert_close(uneven, together, atol=0.4, rtol=0.2)
    assert uneven.reshape(30, 576).std(dim=1).max() < 1.2


def test_blocks_too_small_for_a_null_share_one():
    maps = noise(3, 12, 10, growth=1.0)
    assert torch.equal(null_scores(maps, lay_out(12, 10)), null_scores(maps))


def test_dead_neurons_make_no_noise_significant():
    maps = noise(10, 30, 576)
    maps[:, ::3] = 0
    maps[:, :576][:, ::4] = 0
    layout = lay_out(30, 576)
    masks = FalseDiscoveryRate(0.05).masks(maps, layout)
    assert masks.sum() <= 2
    # a block of which most are dead takes the scale of the others
    maps = noise(10, 30, 576, growth=1.0)
    maps[:, 576:1100] = 0
    maps[:, 1110] = 10
    assert FalseDiscoveryRate(0.05).masks(maps, layout)[:, 576:1152].sum(dim=1).tolist() == [1] * 10


def test_many_maps_are_worked_on_a_few_at_a_time(monkeypatch):
    maps, layout = noise(7, 4, 60), lay_out(4, 60)
    expected = null_scores(maps, layout)
    monkeypatch.setattr(null, "AT_ONCE", 2 * null.LEAST)
    assert torch.equal(null_scores(maps, layout), expected)
