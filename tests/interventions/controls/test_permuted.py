"""Controls of interventions on whole maps: the same weights at other neurons."""

from dataclasses import replace

import pytest
import torch

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken
from fbn_exp.interventions.component.patterns import Components
from fbn_exp.interventions.component.project import Project
from fbn_exp.interventions.component.subtract import Subtract
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.target import OUTSIDE, Target
from fbn_exp.models.positions import Tokens
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import TOKENS, neuron_tensors, token_counts

LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [6, 4])
KINDS = [ControlKind.random, ControlKind.per_block]


def original_of(intervention, **known):
    maps = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    activity = torch.linspace(1, 2, 10, dtype=torch.float64)
    apart = [NeuronStatistics(-activity, activity, activity, n_tokens=count) for count in (2, 8)]
    components = Components(maps, (2, 0), torch.ones(10, dtype=torch.float64))
    labels = torch.full((10,), OUTSIDE)
    target = Target((2, 0), labels, LAYOUT, StatisticsByToken(*apart), components=components)
    return Original(target, intervention, **known)


def drawn(original, kinds=KINDS, repeats=3, **settings):
    return draw_controls(original, ControlsConfig(kinds=list(kinds), repeats=repeats, **settings))


@pytest.mark.parametrize("rule", [Project, Subtract])
def test_weights_are_permuted_and_angles_between_networks_stay(rule):
    original = original_of(rule())
    own = rule().edit(original.target).patterns
    seen = {tuple(own[0].tolist())}
    for controls in drawn(original).by_kind.values():
        for control in controls:
            patterns = control.edit(rule()).patterns
            assert torch.equal(patterns.sort(dim=1).values, own.sort(dim=1).values)
            torch.testing.assert_close(patterns @ patterns.T, own @ own.T)
            seen.add(tuple(patterns[0].tolist()))
    assert len(seen) == 7


def test_per_block_keeps_the_norm_in_every_block_and_random_does_not():
    original = original_of(Project())
    own = original.target.components.patterns
    kept = {}
    for kind, controls in drawn(original).by_kind.items():
        parts = [
            (
                control.target.components.patterns[:, block.columns].norm(dim=1),
                own[:, block.columns].norm(dim=1),
            )
            for control in controls
            for block in LAYOUT.blocks
        ]
        kept[kind] = all(torch.allclose(*part) for part in parts)
        assert {control.same_block == 1 for control in controls} == {kind is ControlKind.per_block}
    assert kept == {ControlKind.random: False, ControlKind.per_block: True}


def test_the_time_course_of_a_subtraction_stays():
    original = original_of(Subtract())
    own = Subtract().edit(original.target)
    for controls in drawn(original).by_kind.values():
        for control in controls:
            assert torch.equal(control.edit(Subtract()).filters, own.filters)


def test_keystones_take_the_smallest_weights():
    keystones = torch.zeros(10, dtype=torch.bool)
    keystones[[1, 7]] = True
    original = original_of(Project(), keystones=keystones)
    size = original.target.components.patterns.square().sum(dim=0)
    for kind, controls in drawn(original).by_kind.items():
        smallest = (
            size[:6].min() + size[6:].min() if kind is ControlKind.per_block else size.sort().values[:2].sum()
        )
        for control in controls:
            torch.testing.assert_close(
                control.target.components.patterns.square().sum(dim=0)[keystones].sum(), smallest
            )


def test_likeness_is_that_of_the_weights_and_of_the_edits():
    def neuron_energy(edit):
        return edit.patterns.double().square().sum(dim=0) * torch.arange(10)

    original = original_of(Project(), neuron_energy=neuron_energy)
    own = original.target.components.patterns
    (control,) = drawn(original, KINDS[:1], 1).by_kind[ControlKind.random]
    other = control.target.components.patterns
    activity = original.target.mean_absolute().float()
    assert control.activity_ratio == pytest.approx(
        float((other.abs() @ activity).sum() / (own.abs() @ activity).sum())
    )
    numbers = torch.arange(10.0)
    assert control.energy_ratio == pytest.approx(
        float((other.square().sum(0) @ numbers) / (own.square().sum(0) @ numbers))
    )


def test_kinds_that_choose_neurons_are_left_out_in_words():
    found = drawn(original_of(Subtract()), [*KINDS, ControlKind.activation], share=0.2)
    assert list(found.by_kind) == KINDS
    assert found.remarks == (
        "No activation, share controls: they choose neurons, and the intervention acts on whole maps.",
    )


@pytest.mark.parametrize("rule", [Project, Subtract])
def test_rotations_lie_along_rotated_maps_and_noise_is_as_long_as_the_change(rule):
    original = original_of(rule())
    target, maps = original.target, original.target.components.maps
    networks = FunctionalNetworks(
        maps,
        LAYOUT,
        neurons=neuron_tensors(target.statistics),
        provenance={
            TOKENS: token_counts(target.statistics),
            "config": {"signals": {"standardise": "none", "first_tokens_excluded": 1}},
        },
    )
    found = drawn(replace(original, networks=networks), [ControlKind.rotation, ControlKind.noise]).by_kind
    assert list(found) == [ControlKind.rotation, ControlKind.noise]
    for control in found[ControlKind.rotation]:
        edit = control.edit(rule())
        # two of three rotated maps: in the span of the maps, and along none of them
        outside = edit.patterns - edit.patterns @ torch.linalg.pinv(maps) @ maps
        assert outside.abs().max() < 1e-4
        assert torch.corrcoef(torch.cat([edit.patterns, maps]))[:2, 2:].abs().max() < 0.999
    x = torch.randn(5, 10, generator=torch.Generator().manual_seed(1))
    tokens = Tokens(torch.tensor([0, 1, 2, 0, 1]))
    own = rule().edit(target).on_recorded(x, tokens)
    for control in found[ControlKind.noise]:
        noise = control.edit(rule()).on_recorded(x, tokens)
        for block in LAYOUT.blocks:
            part = x[:, block.columns]
            torch.testing.assert_close(
                (noise.change(block, part, tokens) - part).norm(dim=1),
                (own.change(block, part, tokens) - part).norm(dim=1),
            )


def test_draws_of_a_projection_are_said_to_remove_less_energy():
    (said,) = drawn(original_of(Project())).remarks
    assert "random, per_block draws of a projection mostly remove less energy" in said
    # time courses stay under subtract, and with them the energy; noise has that of the projection
    assert drawn(original_of(Subtract())).remarks == ()
    assert drawn(original_of(Project()), [ControlKind.noise]).remarks == ()


def test_draws_are_those_of_their_seed():
    first, again, other = (
        [
            control.target.components.order.tolist()
            for control in drawn(original_of(Project()), KINDS, 2, seed=seed).by_kind[KINDS[0]]
        ]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert not any(order in first for order in other)
