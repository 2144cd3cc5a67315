"""Networks of rotated maps: the same subspace without attention sinks, nothing lost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import signal_statistics
from fbn_exp.interventions.component.project import Project
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.controls.rotation import Rotation, rotated_maps, sink_shares
from fbn_exp.interventions.rules import Inhibit
from fbn_exp.interventions.target import choose_target
from fbn_exp.methods.base import skewness
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import TOKENS, neuron_tensors, token_counts
from fbn_exp.thresholds.z import ZThreshold

LENGTH, TEXTS, WIDTH, BLOCKS = 25, 80, 60, 3
N = WIDTH * BLOCKS


def planted(n_networks=5, sinks=1, standardise="none", skipped=0, seed=0, blocks=None):
    """Networks with uncorrelated time courses of unit variance, of which the first are attention sinks.

    The second sink fires at first tokens with either sign, so that its mean there is 0.
    """
    generator = torch.Generator().manual_seed(seed)
    first = torch.arange(LENGTH * TEXTS) % LENGTH == 0
    courses = torch.randn(len(first), n_networks, generator=generator, dtype=torch.float64)
    for sink in range(sinks):
        courses[:, sink] *= 0.01
        sign = torch.tensor([1.0, -1.0] if sink else [1.0, 1.0], dtype=torch.float64).repeat(TEXTS // 2)
        courses[first, sink] = 5 * sign + 0.1 * courses[first, sink]
    courses[first, sinks:] -= courses[first, sinks:].mean(dim=0)
    courses -= courses.mean(dim=0)
    courses = torch.linalg.qr(courses).Q * len(first) ** 0.5
    maps = torch.randn(n_networks, N, generator=generator, dtype=torch.float64).pow(3)
    spread = torch.rand(N, generator=generator, dtype=torch.float64) + 0.5
    raw = (courses @ maps) * (spread if standardise == "zscore" else 1) + 3
    statistics = signal_statistics(raw, first).by_token
    if standardise == "zscore":
        maps = maps * spread / statistics.all.standard_deviation
    layout = NeuronLayout.of(Site.mlp_output, [f"b.{i}" for i in range(BLOCKS)], [WIDTH] * BLOCKS)
    recorded = {"standardise": standardise, "first_tokens_excluded": skipped}
    provenance = {"config": {"signals": recorded}, TOKENS: token_counts(statistics)}
    networks = FunctionalNetworks(
        maps.float(), layout, {}, neuron_tensors(statistics), provenance, blocks=blocks
    )
    share = courses[first].square().sum(dim=0) / courses.square().sum(dim=0)
    return networks, share, raw[first]


def rotations_of(networks, chosen="all", repeats=3, seed=0, **known):
    target = choose_target(networks, ZThreshold(), chosen)
    original = Original(target, networks=networks, threshold=ZThreshold(), **known)
    return draw_controls(original, ControlsConfig([ControlKind.rotation], repeats, seed)), target


@pytest.mark.parametrize("standardise", ["none", "zscore"])
def test_a_sink_is_known_by_the_share_of_its_energy_at_first_tokens(standardise):
    networks, true, first = planted(sinks=2, standardise=standardise)
    assert true[:2].min() > 0.9
    assert true[2:].max() < 0.1
    assert sink_shares(networks, first).tolist() == pytest.approx(true.tolist(), abs=1e-4)
    # the mean over first tokens shows a sink that is the same at all of them, and no more than there is
    by_mean = sink_shares(networks)
    assert by_mean[0] == pytest.approx(float(true[0]), abs=0.02)
    assert (by_mean <= true + 1e-4).all()
    assert by_mean[1] < 0.1


def test_networks_of_signals_without_first_tokens_have_no_sink():
    networks, *_ = planted(skipped=1)
    assert sink_shares(networks).tolist() == [0] * 5


@settings(max_examples=30, deadline=None)
@given(n_maps=st.integers(2, 12), seed=st.integers(0, 1000))
def test_a_rotation_loses_nothing(n_maps, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(n_maps, 50, generator=generator)
    turned = rotated_maps(maps, generator)
    # the same energy of every neuron and pair of neurons, and the same span
    torch.testing.assert_close(turned.T @ turned, maps.T @ maps, rtol=1e-4, atol=1e-4)
    assert (skewness(turned) >= 0).all()


def test_the_sink_is_left_out_and_all_else_is_turned():
    networks, *_ = planted()
    original = Original(choose_target(networks, ZThreshold(), [0, 1]), networks=networks)
    rotation = Rotation(original)
    assert rotation.sinks == (0,)
    turned = rotation._rotated(torch.Generator().manual_seed(0)).maps
    rest = networks.maps[1:]
    torch.testing.assert_close(turned.T @ turned, rest.T @ rest, rtol=1e-3, atol=1e-2)


def test_as_many_networks_are_chosen_by_the_same_rule():
    networks, *_ = planted()
    found, target = rotations_of(networks, [1, 3])
    for control in found.by_kind[ControlKind.rotation]:
        assert control.target.networks == target.networks
        assert set(control.target.labels.unique().tolist()) == {-1, 0, 1}
        # z > 1.96 of weights with heavy tails
        assert 0.3 * target.size < control.target.size < 3 * target.size
        assert not torch.equal(control.target.labels, target.labels)


def test_more_networks_than_remain_are_supplied_by_further_rotations():
    networks, _, first = planted(sinks=2)
    found, _ = rotations_of(networks, first=first)
    for control in found.by_kind[ControlKind.rotation]:
        # three maps remain; a network whose neurons all belong more to others has no label of its own
        assert 3 < len(set(control.target.labels.unique().tolist()) - {-1}) <= 5


def test_keystones_are_no_members():
    networks, *_ = planted()
    keystones = torch.zeros(N, dtype=torch.bool)
    keystones[::2] = True
    found, _ = rotations_of(networks, keystones=keystones)
    for control in found.by_kind[ControlKind.rotation]:
        assert not (control.target.members & keystones).any()


def test_networks_of_blocks_are_turned_within_their_block():
    networks, *_ = planted(n_networks=6, sinks=0, blocks=(0, 0, 0, 1, 1, 2))
    maps = torch.zeros_like(networks.maps)
    for row, block in enumerate(networks.blocks):
        columns = networks.layout.blocks[block].columns
        maps[row, columns] = networks.maps[row, columns]
    confined = FunctionalNetworks(
        maps, networks.layout, {}, networks.neurons, networks.provenance, networks.blocks
    )
    target = choose_target(confined, ZThreshold(), [0, 3])
    rotation = Rotation(Original(target, networks=confined))
    turned = rotation._rotated(torch.Generator().manual_seed(0))
    # the only network of the third block has no other to be mixed with
    assert sorted(turned.blocks) == [0, 0, 0, 1, 1]
    for row, block in zip(turned.maps, turned.blocks, strict=True):
        outside = torch.ones(N, dtype=torch.bool)
        outside[networks.layout.blocks[block].columns] = False
        assert not row[outside].any()


def test_what_is_not_known_leaves_the_kind_out():
    networks, *_ = planted()
    target = choose_target(networks, ZThreshold(), "all")
    settings = ControlsConfig([ControlKind.rotation], 1)
    (said,) = draw_controls(Original(target), settings).remarks
    assert said == "No rotation controls: rotation needs the networks that the neurons come from."
    old = FunctionalNetworks(networks.maps, networks.layout, {}, networks.neurons, {})
    (said,) = draw_controls(Original(target, networks=old), settings).remarks
    assert "do not say how their signals were recorded" in said
    alone, *_ = planted(n_networks=2)
    (said,) = draw_controls(
        Original(choose_target(alone, ZThreshold(), [1]), networks=alone), settings
    ).remarks
    assert "1 of 2 networks are no attention sinks, and a rotation needs two" in said


def test_keystones_alone_have_no_counterpart():
    networks, *_ = planted()
    found, _ = rotations_of(networks, intervention=Inhibit(members="keystones"))
    assert found.remarks == (
        "No rotation controls: rotated maps have no counterpart of the keystones alone.",
    )


def test_all_whole_maps_have_no_rotation_that_is_another_edit():
    networks, *_ = planted()
    found, _ = rotations_of(networks, [1, 2, 3, 4], intervention=Project())
    assert not found.by_kind
    assert found.remarks == (
        "No rotation controls: 4 networks are taken out whole, and any rotation of the 4 maps that are no "
        "attention sinks spans the same: choose fewer with intervention.networks.",
    )
    fewer, _ = rotations_of(networks, [1, 2, 3], intervention=Project())
    assert len(fewer.by_kind[ControlKind.rotation]) == 3


def test_draws_extend_and_differ():
    networks, *_ = planted()
    few, many = (
        [
            each.target.labels.tolist()
            for each in rotations_of(networks, repeats=n)[0].by_kind[ControlKind.rotation]
        ]
        for n in (2, 5)
    )
    assert many[:2] == few
    assert len({tuple(each) for each in many}) == 5
