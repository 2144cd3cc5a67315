"""A normal and two gammas: noise has no tails, planted members are the tails, in blocks of any scale."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize
from synthetic import lay_out

from fbn_exp.core.errors import ConfigError
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.gamma_mixture import NEAREST_MODE, Mixture, binned, fitted, gamma_of
from fbn_exp.thresholds.mixture import MixtureThreshold
from fbn_exp.thresholds.z import ZThreshold


def gaussian(n_maps, n_neurons, seed=0):
    return torch.randn(n_maps, n_neurons, generator=torch.Generator().manual_seed(seed))


def growing(blocks, width, factor=1.1):
    """Scale of each neuron where it grows from block to block."""
    return (factor ** torch.arange(blocks)).repeat_interleave(width)


def alarms(maps, layout=None):
    """Share of maps with a tail on the positive side, and on the negative one."""
    tails = MixtureThreshold().tails(maps, layout)
    return float((tails.positive > 0).double().mean()), float((tails.negative > 0).double().mean())


@pytest.mark.parametrize(("n_maps", "n_neurons"), [(1000, 20), (400, 100), (200, 1000), (200, 17_280)])
def test_noise_has_no_tails(n_maps, n_neurons):
    assert max(alarms(gaussian(n_maps, n_neurons))) <= 0.01


@pytest.mark.parametrize(("blocks", "width"), [(30, 576), (30, 64)])
def test_noise_whose_scale_grows_from_block_to_block_has_no_tails(blocks, width):
    layout = lay_out(blocks, width)
    maps = gaussian(60, blocks * width) * growing(blocks, width)
    assert max(alarms(maps, layout)) <= 0.02
    assert MixtureThreshold(pole="both").masks(maps, layout).sum() <= 5
    # one bulk for all blocks would take them for tails
    assert min(alarms(maps[:5])) == 1


def test_heavy_tails_are_found_on_both_sides():
    maps = torch.from_numpy(stats.t.rvs(3, size=(5, 17_280), random_state=0))
    assert alarms(maps) == (1, 1)
    assert 0.01 < MixtureThreshold().masks(maps).double().mean() < 0.05


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("count", "height"), [(9, 50), (90, 5), (1700, 4)])
def test_planted_members_are_the_tail_of_their_side(count, height, side):
    layout, scale = lay_out(30, 576), growing(30, 576)
    maps = gaussian(6, 17_280)
    planted = torch.zeros(maps.shape, dtype=torch.bool)
    planted[:, torch.randperm(17_280, generator=torch.Generator().manual_seed(1))[:count]] = True
    maps = (maps + side * height * planted) * scale
    tails = MixtureThreshold().tails(maps, layout)
    with_tail, without = (tails.positive, tails.negative)[::side]
    assert (with_tail.numpy() * 17_280 / count).mean() == pytest.approx(1, abs=0.1)
    assert (without == 0).all()
    found, other = (
        MixtureThreshold(pole=pole).masks(maps, layout) for pole in ("positive", "negative")[::side]
    )
    assert not other.any()
    assert (found & planted).sum() / planted.sum() > 0.9
    assert (found & ~planted).sum() / found.sum() < 0.1


def test_posteriors_of_members_are_probabilities():
    """Of what has a posterior above .5 or .9, at least that share is planted."""
    maps = gaussian(20, 17_280)
    maps[:, :500] = torch.from_numpy(stats.gamma.rvs(9, scale=0.5, size=(20, 500), random_state=0)).float()
    masks = {posterior: MixtureThreshold(posterior).masks(maps) for posterior in (0.5, 0.9)}
    shares = {posterior: float(mask[:, :500].sum() / mask.sum()) for posterior, mask in masks.items()}
    assert shares[0.5] > 0.8
    assert shares[0.9] > 0.96
    assert (masks[0.9] <= masks[0.5]).all()


def test_every_score_beyond_the_first_of_a_tail_is_in_it():
    """Also where a narrow gamma is less likely than the normal farther out."""
    maps = gaussian(1, 5000)
    maps[0, :60] = 4 + 0.1 * maps[0, :60]
    maps[0, 60] = 4.9
    mask = MixtureThreshold().masks(maps)[0]
    assert mask[:61].all()
    assert torch.equal(mask, maps[0] >= maps[0][mask].min())


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_scale_changes_nothing(scale):
    maps = torch.from_numpy(stats.t.rvs(4, size=(3, 3000), random_state=0))
    for pole in Pole:
        rule = MixtureThreshold(pole=pole)
        assert torch.equal(rule.masks(maps), rule.masks(maps * scale))


def test_the_sign_of_a_map_swaps_its_tails():
    maps = torch.from_numpy(stats.skewnorm.rvs(8, size=(5, 4000), random_state=0) ** 3)
    positive, negative, both = (MixtureThreshold(pole=pole) for pole in Pole)
    assert torch.equal(positive.masks(maps), negative.masks(-maps))
    assert torch.equal(both.masks(maps), both.masks(-maps))
    assert torch.equal(both.masks(maps), positive.masks(maps) | negative.masks(maps))
    tails, flipped = both.tails(maps), both.tails(-maps)
    torch.testing.assert_close(tails.positive, flipped.negative)
    torch.testing.assert_close(tails.negative, flipped.positive)


def test_the_order_of_the_neurons_in_a_block_makes_no_difference():
    layout = lay_out(4, 500)
    maps = torch.from_numpy(stats.t.rvs(3, size=(3, 2000), random_state=0)) * growing(4, 500)
    order = torch.cat([block.offset + torch.randperm(500) for block in layout.blocks])
    rule = MixtureThreshold(pole="both")
    assert torch.equal(rule.masks(maps[:, order], layout), rule.masks(maps, layout)[:, order])


def test_a_map_is_judged_by_itself():
    maps = torch.cat(
        [gaussian(3, 2000), torch.from_numpy(stats.t.rvs(3, size=(3, 2000), random_state=0)).float()]
    )
    together = MixtureThreshold().masks(maps)
    maps[0] = 1
    for index in range(1, 6):
        assert torch.equal(MixtureThreshold().masks(maps[index : index + 1])[0], together[index])
    assert not MixtureThreshold(pole="both").masks(maps[:1]).any()


def test_in_a_sparse_map_all_that_is_not_zero_is_a_tail():
    maps = torch.zeros(2, 1000)
    maps[0, [3, 500]], maps[0, 7] = torch.tensor([0.5, 2.0]), -1
    assert MixtureThreshold().masks(maps).nonzero().tolist() == [[0, 3], [0, 500]]
    assert MixtureThreshold(pole="negative").masks(maps).nonzero().tolist() == [[0, 7]]
    tails = MixtureThreshold().tails(maps)
    assert (tails.positive.tolist(), tails.negative.tolist()) == ([0.002, 0], [0.001, 0])


def test_dead_neurons_and_ties_make_no_tails():
    maps = gaussian(20, 5000)
    maps[:, ::3] = 0
    assert max(alarms(maps)) == 0
    assert max(alarms((gaussian(20, 5000) * 4).round())) == 0
    assert max(alarms(gaussian(20, 5000) * 1e-30)) == 0


def test_of_a_one_sided_map_only_that_side_has_members():
    maps = torch.from_numpy(stats.expon.rvs(size=(4, 5000), random_state=0))
    assert MixtureThreshold(pole="negative").masks(maps).sum() == 0
    assert (MixtureThreshold().masks(maps).sum(dim=1) > 0).all()


def test_networks_of_one_block_have_the_tails_of_their_block():
    maps = torch.zeros(2, 1000)
    maps[0, :600], maps[1, 600:] = gaussian(1, 600)[0], gaussian(1, 400, seed=1)[0]
    maps[0, :12] = 9
    layout = lay_out(2, 500).of("mlp_output", ["first", "second"], [600, 400])
    networks = FunctionalNetworks(maps, layout, blocks=(0, 1))
    tails = networks.tails(MixtureThreshold())
    assert tails.positive.tolist() == [pytest.approx(0.02, rel=0.01), 0]
    assert tails.negative.tolist() == [0, 0]
    assert networks.masks(MixtureThreshold()).sum(dim=1).tolist() == [12, 0]
    assert networks.tails(ZThreshold()) is None


def test_the_gamma_of_a_step_has_the_largest_likelihood_of_those_with_a_distant_mode():
    for mean, mean_log in [(4.0, math.log(3.8)), (4.0, math.log(3.0)), (2.2, 0.7), (60.0, 2.0)]:

        def loss(parameters, mean=mean, mean_log=mean_log):
            shape, scale = parameters
            return -((shape - 1) * mean_log - mean / scale - math.lgamma(shape) - shape * math.log(scale))

        away = {"type": "ineq", "fun": lambda at: (at[0] - 1) * at[1] - NEAREST_MODE}
        bounds = [(1.0001, 100), (1e-3, 1e5)]
        best = minimize(loss, (3.0, 2.0), constraints=away, bounds=bounds, method="SLSQP")
        shape, scale = gamma_of(torch.tensor([mean]).double(), torch.tensor([mean_log]).double())
        assert (shape - 1) * scale > NEAREST_MODE - 1e-6
        assert loss((float(shape), float(scale))) <= best.fun + 1e-4


def test_a_mixture_is_recovered():
    rng = np.random.default_rng(0)
    parts = [rng.normal(0.1, 0.9, 90_000), rng.gamma(6, 0.8, 7_000), -rng.gamma(9, 0.4, 3_000)]
    scores = torch.from_numpy(np.concatenate(parts))[None]
    found = fitted(binned(scores, torch.ones_like(scores)))
    assert found.proportions[:, 0].tolist() == pytest.approx([0.9, 0.07, 0.03], rel=0.08)
    assert float(found.mean) == pytest.approx(0.1, abs=0.02)
    assert float(found.variance) == pytest.approx(0.81, rel=0.03)
    assert (found.shape * found.scale)[:, 0].tolist() == pytest.approx([4.8, 3.6], rel=0.05)


def test_bins_lose_next_to_nothing():
    scores = torch.from_numpy(stats.t.rvs(3, size=(1, 5000), random_state=0))
    mixture = Mixture(
        torch.tensor([[0.9], [0.06], [0.04]]).double(),
        torch.zeros(1).double(),
        torch.ones(1).double(),
        torch.full((2, 1), 4.0).double(),
        torch.full((2, 1), 1.0).double(),
    )
    exact = mixture.log_densities(scores).logsumexp(dim=0).sum()
    data = binned(scores, torch.ones_like(scores))
    assert data.count.sum() == 5000
    assert float((data.count * mixture.log_densities(data.mean).logsumexp(dim=0)).sum()) == pytest.approx(
        float(exact), abs=0.5
    )


@pytest.mark.parametrize("value", [0, 1, float("nan")])
def test_a_posterior_out_of_range_is_refused(value):
    with pytest.raises(ConfigError, match=r"threshold\.posterior"):
        MixtureThreshold(value)
