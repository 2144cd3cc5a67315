import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.thresholds.base import z_scores
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.fdr import FalseDiscoveryRate
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

# numbers so small that a power of two rounds them are 0
elements = st.floats(-100, 100, width=32).map(lambda value: value if abs(value) > 1e-20 else 0.0)
weights = arrays(np.float32, (2, 12), elements=elements).map(torch.from_numpy)
powers_of_two = st.integers(-20, 20).map(lambda exponent: 2.0**exponent)


# two blocks, of 5 and 7 neurons
PAIR = NeuronLayout.of(Site.mlp_output, ["first", "second"], [5, 7])


def rules(pole="positive"):
    """Rules of every kind that give the small maps some members."""
    return [
        ZThreshold(1.5, pole=pole),
        FalseDiscoveryRate(0.2, pole=pole),
        TopFraction(0.3, pole=pole),
    ]


def gaussian(n_networks, n_neurons, seed=0):
    return torch.randn(n_networks, n_neurons, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("rule", "members"),
    [
        (ZThreshold(2.61), [0]),
        (ZThreshold(2.62), []),
        (ZThreshold(1.74, pole="negative"), [1]),
        (ZThreshold(1.75, pole="negative"), []),
        (ZThreshold(1.74, pole="both"), [0, 1]),
        (ZThreshold(1.75, pole="both"), [0]),
        (TopFraction(0.1), [0]),
        (TopFraction(0.1, pole="negative"), [1]),
        (TopFraction(0.2, pole="both"), [0, 1]),
        (TopFraction(0.01), [0]),
        (TopFraction(1), list(range(10))),
    ],
)
def test_members_by_hand(rule, members):
    # mean 0, variance (36 + 16 + 8 / 16) / 10 = 5.25: z is 2.6186, -1.7457 and -0.1091
    row = torch.tensor([[6.0, -4.0] + [-0.25] * 8])
    assert rule.masks(row).nonzero()[:, 1].tolist() == members


def test_false_discovery_members_by_hand():
    # median 0, median absolute deviation 1, so that one spread is 1.4826
    row = torch.tensor([[-1.0, 1.0] * 50 + [0.0] * 8 + [6.0, -6.0]])
    assert FalseDiscoveryRate(0.05).masks(row).nonzero()[:, 1].tolist() == [108]
    assert FalseDiscoveryRate(0.05, pole="negative").masks(row).nonzero()[:, 1].tolist() == [109]
    assert FalseDiscoveryRate(0.05, pole="both").masks(row).nonzero()[:, 1].tolist() == [108, 109]
    # of 102 weights other than 0, the spread has 0.5 · 102 / 1.3607 = 37.48 degrees of freedom: t = 4.047 is
    # 3.662 of a normal, p is 1.252e-4, and of 110 weights the first line is at rate / 110
    assert not FalseDiscoveryRate(0.0137).masks(row).any()
    assert FalseDiscoveryRate(0.0138).masks(row).sum() == 1


@given(weights)
def test_z_scores_have_mean_0_and_spread_1_or_are_0(maps):
    scores = z_scores(maps)
    varied = (maps != maps[:, :1]).any(dim=1)
    torch.testing.assert_close(scores.mean(dim=1), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(scores.square().mean(dim=1), varied.double(), atol=1e-6, rtol=0)


@given(weights, powers_of_two)
def test_scale_changes_no_mask(maps, scale):
    for rule in rules():
        assert torch.equal(rule.masks(maps, PAIR), rule.masks(maps * scale, PAIR))


@given(weights)
def test_the_sign_of_a_map_swaps_its_poles(maps):
    for positive, negative, both in zip(*map(rules, Pole), strict=True):
        assert torch.equal(positive.masks(maps, PAIR), negative.masks(-maps, PAIR))
        assert torch.equal(both.masks(maps, PAIR), both.masks(-maps, PAIR))


@given(weights, st.floats(0.1, 4))
def test_both_poles_are_the_union_of_either(maps, value):
    positive, negative, both = (ZThreshold(value, pole=pole).masks(maps) for pole in Pole)
    assert torch.equal(both, positive | negative)
    assert not (positive & negative).any()


@given(weights, st.permutations(range(5)), st.permutations(range(5, 12)))
def test_the_order_of_the_neurons_in_a_block_makes_no_difference(maps, first, second):
    order = [*first, *second]
    for rule in rules():
        if not isinstance(rule, TopFraction):  # which takes the first of equal weights
            assert torch.equal(rule.masks(maps[:, order], PAIR), rule.masks(maps, PAIR)[:, order])


@given(weights, st.integers(1, 12), st.sampled_from(list(Pole)))
def test_top_fraction_gives_its_count_and_none_outside_is_larger(maps, count, pole):
    masks = TopFraction(count / 12, pole=pole).masks(maps)
    ranked = {"positive": maps, "negative": -maps, "both": maps.abs()}[pole]
    assert masks.sum(dim=1).tolist() == [count, count]
    for row, mask in zip(ranked, masks, strict=True):
        assert row[~mask].max() <= row[mask].min() if count < 12 else mask.all()


@pytest.mark.parametrize("pole", Pole)
def test_false_discovery_finds_next_to_nothing_in_noise(pole):
    assert FalseDiscoveryRate(0.05, pole=pole).masks(gaussian(40, 5000)).sum() <= 5


@pytest.mark.parametrize("pole", Pole)
def test_false_discovery_finds_planted_members_at_its_rate(pole):
    maps = 0.01 * gaussian(20, 5000) + 3
    alternating = torch.where(torch.arange(100) % 2 == 0, 1, -1)
    maps[:, :100] += 0.08 * {"positive": 1, "negative": -1, "both": alternating}[pole]
    masks = FalseDiscoveryRate(0.05, pole=pole).masks(maps)
    assert masks[:, :100].float().mean() > 0.999
    assert masks[:, 100:].sum() / masks.sum() < 0.06


def test_false_discovery_takes_what_differs_in_a_sparse_map():
    maps = torch.zeros(1, 1000)
    maps[0, [3, 500]] = torch.tensor([0.5, 2.0])
    maps[0, 7] = -1
    assert FalseDiscoveryRate().masks(maps).nonzero()[:, 1].tolist() == [3, 500]
    assert FalseDiscoveryRate(pole="both").masks(maps).nonzero()[:, 1].tolist() == [3, 7, 500]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-30, 1e30])
@pytest.mark.parametrize("pole", Pole)
def test_a_flat_map_has_no_members(constant, pole):
    maps = torch.full((1, 777), constant)
    assert (z_scores(maps) == 0).all()
    assert not ZThreshold(0.5, pole=pole).masks(maps).any()
    assert not FalseDiscoveryRate(0.4, pole=pole).masks(maps).any()


@pytest.mark.parametrize("rule", [ZThreshold(), TopFraction(), FalseDiscoveryRate()])
def test_a_flat_map_beside_others_does_not_change_them(rule):
    maps = gaussian(3, 500)
    alone = rule.masks(maps[1:])
    maps[0] = 1
    assert torch.equal(rule.masks(maps)[1:], alone)


@pytest.mark.parametrize("rule", [ZThreshold(), TopFraction(), FalseDiscoveryRate()])
def test_large_maps_are_cut(rule):
    maps = gaussian(64, 131_072)
    maps[:, 1000] = 50
    masks = rule.masks(maps)
    assert masks.shape == maps.shape
    assert masks.dtype == torch.bool
    assert masks[:, 1000].all()
    assert masks.float().mean() < 0.05


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ZThreshold(1.96), "z > 1.96, positive pole"),
        (ZThreshold(1.96, pole="negative"), "z < -1.96, negative pole"),
        (ZThreshold(3.6, pole="both"), "|z| > 3.6, both poles"),
        (TopFraction(0.02), "largest 2.00%, positive pole"),
        (FalseDiscoveryRate(0.05, pole="both"), "false-discovery rate 0.05, both poles"),
    ],
)
def test_a_rule_says_what_it_is(rule, words):
    assert rule.describe() == words


@pytest.mark.parametrize(
    ("rule", "value", "field"),
    [
        (ZThreshold, 0, "threshold.value is 0"),
        (ZThreshold, -1.96, "threshold.value is -1.96"),
        (ZThreshold, float("nan"), "threshold.value is nan"),
        (TopFraction, 0, "threshold.fraction is 0"),
        (TopFraction, 1.01, "threshold.fraction is 1.01"),
        (FalseDiscoveryRate, 0, "threshold.rate is 0"),
        (FalseDiscoveryRate, 1, "threshold.rate is 1"),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(rule, value, field):
    with pytest.raises(ConfigError, match=field):
        rule(value)


@pytest.mark.parametrize("rule", [ZThreshold, TopFraction, FalseDiscoveryRate])
def test_a_pole_that_does_not_exist_is_refused(rule):
    with pytest.raises(ConfigError, match=r"threshold.pole is 'up', must be one of positive, negative, both"):
        rule(pole="up")
