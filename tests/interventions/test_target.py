import pytest
import torch
from neuron_statistics import stated

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.interventions.config import Members, Place
from fbn_exp.interventions.rules import Inhibit, Preserve
from fbn_exp.interventions.target import OUTSIDE, Target, choose_target
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import z_scores
from fbn_exp.thresholds.fdr import FalseDiscoveryRate
from fbn_exp.thresholds.mixture import MixtureThreshold
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [6, 4])
PER_NEURON = {
    "mean": torch.arange(10.0) - 5,
    "mean_absolute": torch.arange(10.0),
    "standard_deviation": torch.ones(10),
}


def networks_of(maps, neurons=PER_NEURON):
    return FunctionalNetworks(torch.as_tensor(maps), LAYOUT, neurons=dict(neurons))


def peaks(*places, height=10.0):
    """A flat map with the given height at some places."""
    row = torch.zeros(10)
    row[list(places)] = height
    return row


THREE = networks_of(torch.stack([peaks(0, 1), peaks(7), peaks(1, 9)]))
RULE = ZThreshold(1.5)


def test_members_are_those_of_the_chosen_networks_alone():
    target = choose_target(THREE, RULE, [1, 0])
    assert target.networks == (1, 0)
    assert target.labels.tolist() == [1, 1, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE, 0, OUTSIDE, OUTSIDE]
    assert target.size == 3
    assert target.members.nonzero()[:, 0].tolist() == [0, 1, 7]


def test_all_networks_together_hold_the_union_of_their_masks():
    target = choose_target(THREE, RULE, "all")
    assert target.networks == (0, 1, 2)
    assert torch.equal(target.members, THREE.masks(RULE).any(dim=0))
    assert target.size == 4


def test_a_neuron_of_two_networks_counts_for_the_one_with_the_larger_z():
    # z, not weight: the second map is far larger, but its other peaks take away from neuron 1's z
    maps = torch.stack([peaks(1), 1000 * peaks(1, 2, 3)])
    strength = z_scores(maps)[:, 1]
    assert strength[0] > strength[1]
    rule = TopFraction(0.3)
    assert rule.masks(maps)[:, 1].all()
    assert choose_target(networks_of(maps), rule, "all").labels[1] == 0
    assert choose_target(networks_of(maps.flip(0)), rule, "all").labels[1] == 1


def test_a_stronger_weight_below_the_threshold_owns_nothing():
    """Positive pole: a large negative z of the second network does not take the first one's member."""
    maps = torch.stack([peaks(1, 2), peaks(3, height=30.0) + peaks(1, height=-28.0)])
    assert z_scores(maps).abs()[:, 1].argmax() == 1
    positive, both = (
        choose_target(networks_of(maps), ZThreshold(1.5, pole=pole), "all") for pole in ("positive", "both")
    )
    assert positive.labels[1] == 0
    assert both.labels[1] == 1


def test_networks_of_one_block_have_the_members_that_they_have_in_their_block():
    maps = torch.zeros(2, 10)
    maps[0, :6], maps[1, 6:] = torch.tensor([9.0, 1, 2, 1, 2, 1]), torch.tensor([1.0, 2, 9, 2])
    confined = FunctionalNetworks(maps, LAYOUT, neurons=dict(PER_NEURON), blocks=(0, 1))
    target = choose_target(confined, RULE, [1])
    assert torch.equal(target.members, confined.masks(RULE)[1])
    assert target.members.nonzero()[:, 0].tolist() == [8]


def test_an_index_named_twice_counts_once():
    assert choose_target(THREE, RULE, [2, 2, 0]).networks == (2, 0)


def test_the_neurons_means_are_carried_along():
    target = choose_target(THREE, RULE, [0])
    assert torch.equal(target.mean, PER_NEURON["mean"])
    assert torch.equal(target.mean_absolute(), PER_NEURON["mean_absolute"])
    assert target.layout == LAYOUT


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ([3], r"names \[3\], there are networks 0 to 2"),
        ([0, -1, 7], r"names \[-1, 7\]"),
        ([0.5], r"names \[0\.5\]"),
        ([], "is empty"),
        ("1", "'1': all, or a list of indices"),
        ("every", "'every': all, or a list of indices"),
    ],
)
def test_a_wrong_selection_is_an_error_that_says_what_there_is(selection, message):
    with pytest.raises(NetworksError, match=message):
        choose_target(THREE, RULE, selection)


@pytest.mark.parametrize("rule", [ZThreshold(50.0), FalseDiscoveryRate(1e-6)])
def test_networks_without_a_neuron_are_an_error_that_names_the_threshold(rule):
    bell = torch.special.ndtri((torch.arange(10) + 0.5) / 10).repeat(2, 1)
    with pytest.raises(NetworksError, match=r"\[0, 1\] have no neuron at .* take another threshold"):
        choose_target(networks_of(bell), rule, "all")


def test_a_network_without_tails_is_an_error_that_names_the_networks_that_have_some():
    noise, loud = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    loud[:40] += 12.0
    layout = NeuronLayout.of(Site.mlp_output, ["blocks.0"], [4000])
    nothing = torch.zeros(4000)
    neurons = dict.fromkeys(("mean", "mean_absolute", "standard_deviation"), nothing)
    networks = FunctionalNetworks(torch.stack([noise, loud]), layout, neurons=neurons)
    with pytest.raises(NetworksError, match=r"\[0\] have no neuron at mixture.* choose among networks \[1\]"):
        choose_target(networks, MixtureThreshold(), [0])
    assert choose_target(networks, MixtureThreshold(), "all").members.nonzero()[:, 0].tolist() == list(
        range(40)
    )


def test_one_empty_network_among_others_is_no_error():
    maps = torch.stack([torch.ones(10), peaks(4)])
    target = choose_target(networks_of(maps), RULE, "all")
    assert target.labels[4] == 1
    assert target.size == 1


@pytest.mark.parametrize("lacking", PER_NEURON)
def test_networks_without_the_neurons_means_are_an_error(lacking):
    neurons = {name: each for name, each in PER_NEURON.items() if name != lacking}
    with pytest.raises(NetworksError, match=f"hold no {lacking} of each neuron: extract again"):
        choose_target(networks_of(THREE.maps, neurons), RULE, "all")


def test_other_labels_leave_the_target_as_it_was():
    target = choose_target(THREE, RULE, [0])
    other = target.with_labels(torch.full((10,), OUTSIDE))
    assert other.size == 0
    assert target.size == 2


KEYSTONES = torch.zeros(10, dtype=torch.bool).index_fill(0, torch.tensor([1, 3, 7]), True)


@pytest.mark.parametrize(
    ("members", "expected"),
    [("all", [0, 1, 7, 9]), ("keystones", [1, 7]), ("without_keystones", [0, 9])],
)
def test_members_are_kept_by_whether_they_are_keystones(members, expected):
    target = choose_target(THREE, RULE, "all", members=Members(members), keystones=KEYSTONES)
    assert target.members.nonzero()[:, 0].tolist() == expected
    whole = choose_target(THREE, RULE, "all")
    assert torch.equal(target.labels[target.members], whole.labels[target.members])
    assert Inhibit(members=members).target(THREE, RULE, KEYSTONES).labels.equal(target.labels)


def test_keystones_are_asked_for_in_words_where_they_are_needed():
    for members in (Members.keystones, Members.without_keystones):
        with pytest.raises(NetworksError, match=f"members={members.value} needs .*analysis=keystones"):
            choose_target(THREE, RULE, "all", members=members)
        assert Inhibit(members=members).needs_keystones
    assert not Inhibit().needs_keystones
    assert choose_target(THREE, RULE, "all").size == 4


def test_no_member_left_is_an_error():
    kept = {"members": Members.keystones, "keystones": torch.zeros(10, dtype=torch.bool)}
    with pytest.raises(
        NetworksError, match=r"no member of networks \[0\] is a keystone: take other networks"
    ):
        choose_target(THREE, RULE, [0], **kept)
    kept = {"members": Members.without_keystones, "keystones": torch.ones(10, dtype=torch.bool)}
    with pytest.raises(NetworksError, match="is anything but keystones"):
        choose_target(THREE, RULE, [0], **kept)
    with pytest.raises(NetworksError, match=r"keystones have shape \(3,\), the layout 10 neurons"):
        choose_target(THREE, RULE, [0], members=Members.keystones, keystones=torch.ones(3, dtype=torch.bool))


def test_activity_is_that_at_the_tokens_of_a_place():
    first, others = stated([10.0, 10], n_tokens=1), stated([2.0, 3], n_tokens=3)
    target = Target((0,), torch.zeros(2), LAYOUT, StatisticsByToken(first, others))
    assert target.mean_absolute().tolist() == pytest.approx([(10 + 3 * 2) / 4, (10 + 3 * 3) / 4])
    assert target.mean_absolute(Place.first_only).tolist() == [10, 10]
    assert target.mean_absolute(Place.first_spared).tolist() == [2, 3]
    old = Target((0,), torch.zeros(2), LAYOUT, StatisticsByToken(None, others))
    assert old.mean_absolute(Place.first_only).tolist() == [2, 3]


def test_nothing_may_be_left_of_the_members_where_that_is_said():
    nowhere = torch.zeros(10, dtype=torch.bool)
    of_no_keystones = {"members": Members.keystones, "keystones": nowhere, "allow_empty": True}
    assert choose_target(THREE, RULE, "all", **of_no_keystones).size == 0
    assert Inhibit(members=Members.keystones, allow_empty=True).target(THREE, RULE, nowhere).size == 0


def test_no_member_is_an_anchor_that_needs_no_keystones():
    keeps_nothing = Preserve(members="none")
    assert not keeps_nothing.needs_keystones
    target = keeps_nothing.target(THREE, RULE)
    assert target.size == 0
    assert keeps_nothing.edit(target).touched.all()
    assert not Inhibit(members="none").edit(target).touched.any()
