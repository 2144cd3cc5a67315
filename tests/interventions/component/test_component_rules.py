"""project and subtract as interventions: what they take from networks, and what they refuse."""

import pytest
import torch

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken
from fbn_exp.interventions.component.patterns import Components
from fbn_exp.interventions.component.project import Project
from fbn_exp.interventions.component.subtract import Subtract
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.target import OUTSIDE, Target

LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [2, 2])
MAPS = torch.tensor([[3.0, 4, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]])
BOTH = (Project, Subtract)


def statistics(mean, n_tokens):
    mean = torch.tensor(mean, dtype=torch.float64)
    return NeuronStatistics(mean, torch.ones(4, dtype=torch.float64), mean.abs(), n_tokens=n_tokens)


APART = StatisticsByToken(statistics([8.0, 0, 0, 0], 1), statistics([1.0, 2, 3, 4], 3))


def target_of(chosen=(0, 1), by_token=APART, known=True):
    components = Components(MAPS, chosen, torch.ones(4, dtype=torch.float64)) if known else None
    labels = torch.tensor([0, OUTSIDE, OUTSIDE, OUTSIDE])
    return Target(chosen, labels, LAYOUT, by_token, components=components)


@pytest.mark.parametrize("rule", BOTH)
@pytest.mark.parametrize(
    ("fill", "others", "first"),
    [
        ("zero", [0, 0, 0, 0], [0, 0, 0, 0]),
        ("mean", [2.75, 1.5, 2.25, 3], [2.75, 1.5, 2.25, 3]),
        ("position_mean", [1, 2, 3, 4], [8, 0, 0, 0]),
    ],
)
def test_the_fill_is_what_deviations_are_counted_from(rule, fill, others, first):
    edit = rule(fill=fill).edit(target_of())
    assert (edit.centre.tolist(), edit.first_centre.tolist()) == (others, first)
    assert edit.by_position == (fill == "position_mean")


@pytest.mark.parametrize("rule", BOTH)
def test_whole_maps_of_the_chosen_networks_are_edited_in_their_order(rule):
    edit = rule([1, 0], factor=[0, 2], tokens="first_spared").edit(target_of((1, 0)))
    assert torch.equal(edit.patterns, MAPS[[1, 0]])
    assert edit.factors == (0, 2)
    assert edit.place is Place.first_spared
    assert edit.touched.tolist() == [True, True, True, False]
    assert rule([1, 0], factor=0.5).edit(target_of((1, 0))).factors == (0.5, 0.5)


def test_filters_are_those_of_a_fit_of_all_networks():
    edit = Subtract([0, 1]).edit(target_of())
    torch.testing.assert_close(edit.filters, torch.linalg.pinv(MAPS).T[:2])


def test_blocks_with_little_of_a_map_can_be_left_alone():
    target = target_of((2,))
    assert Project([2], least_energy=0.4).edit(target).touched.tolist() == [False, True, False, True]
    assert not Project([2], least_energy=0.6).edit(target).touched.any()


@pytest.mark.parametrize("rule", BOTH)
def test_controls_can_lie_along_other_patterns(rule):
    target = target_of()
    order = torch.tensor([1, 0, 3, 2])
    permuted = rule().edit(target.with_components(target.components.permuted(order)))
    along = rule().edit_along(MAPS[:2][:, order], target)
    assert permuted.digest == along.digest != rule().edit(target).digest


@pytest.mark.parametrize("rule", BOTH)
def test_what_the_networks_do_not_know_is_said(rule):
    with pytest.raises(NetworksError, match="do not say how their signals were standardised"):
        rule().edit(target_of(known=False))
    old = StatisticsByToken(None, APART.others)
    with pytest.raises(NetworksError, match="fill=position_mean needs statistics of first tokens apart"):
        rule().edit(target_of(by_token=old))
    assert not rule(fill="mean").edit(target_of(by_token=old)).by_position


@pytest.mark.parametrize("rule", BOTH)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": "half"}, r"intervention\.factor is 'half': a number"),
        ({"networks": [0, 1], "factor": [1, 2, 3]}, r"intervention\.factor has 3 values for 2 networks"),
        ({"fill": "resample"}, "a direction has a mean, but no donor; take zero, mean or position_mean"),
        ({"fill": "median"}, r"intervention\.fill is 'median', must be one of zero, mean"),
        ({"tokens": "last"}, r"intervention\.tokens is 'last', must be one of all, first_spared"),
        ({"networks": []}, "all, or a list of indices"),
    ],
)
def test_wrong_settings_are_refused_in_the_constructor(rule, settings, message):
    with pytest.raises(ConfigError, match=message):
        rule(**settings)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_the_least_energy_is_a_share(share):
    with pytest.raises(ConfigError, match=r"intervention\.least_energy is .* from 0 to below 1"):
        Project(least_energy=share)


@pytest.mark.parametrize("rule", BOTH)
def test_as_many_factors_as_networks_are_needed(rule):
    with pytest.raises(ConfigError, match="has 3 values for 2 networks"):
        rule(factor=[1, 2, 3]).edit(target_of())


def test_they_describe_themselves_and_have_a_factor_as_dose():
    assert Project().describe() == "project 0"
    assert Project(factor=[0, 2], fill="mean").describe() == "project 0, 2 (fill=mean)"
    assert Subtract(factor=0.5, tokens="first_only").describe() == "subtract 0.5 (tokens=first_only)"
    assert Subtract(factor=0.5).single_factor == 0.5
    assert Project(factor=[1, 2]).single_factor is None
    assert Project().with_factor(2.0).factors == [2.0]
