"""Noise: at every token in a random direction, as long as the intervention's own change."""

from dataclasses import replace

import pytest
import torch
from planted_targets import original_of, random_target, target_of

from fbn_exp.core.layout import Site
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.interventions.rules import Inhibit
from fbn_exp.interventions.target import OUTSIDE
from fbn_exp.models.hooks import visited
from fbn_exp.models.positions import Tokens


def noise_of(target, repeats=1, seed=0, **known):
    original = original_of(target, torch.ones(len(target.labels)), **known)
    settings = ControlsConfig([ControlKind.noise], repeats, seed)
    return draw_controls(original, settings).by_kind[ControlKind.noise]


def changes(edit, own, layout, activations, position):
    """Norms of the changes of two edits at every token, per block."""
    tokens = Tokens(position)
    for block in layout.blocks:
        part = activations[..., block.columns]
        pair = (each.change(block, part, tokens) - part for each in (edit, own))
        yield [torch.linalg.vector_norm(each, dim=-1) for each in pair]


def test_the_norm_is_that_of_the_intervention_at_every_token_and_block():
    target = random_target(0, [20, 30, 10], 0.2)
    (control,) = noise_of(target)
    edit, own = control.edit(Inhibit()), Inhibit().edit(target)
    activations = torch.randn(3, 7, 60, generator=torch.Generator().manual_seed(0)).exp()
    position = torch.arange(7).expand(3, 7)
    for noise, lesion in changes(edit, own, target.layout, activations, position):
        torch.testing.assert_close(noise, lesion, rtol=1e-5, atol=1e-6)
    assert control.energy_ratio == 1


def test_tokens_and_blocks_that_the_intervention_spares_are_spared():
    layout = random_target(0, [4, 4], 0.2).layout
    one, zero = torch.ones(8), torch.zeros(8)
    scale = torch.tensor([0.0, *[1.0] * 7])
    own = AffineEdit(scale, zero, first_scale=one, first_shift=zero)
    target = target_of([0, *[OUTSIDE] * 7], [4, 4])
    (control,) = noise_of(target)

    class Spared(Inhibit):
        def edit(self, target):
            return own

    edit = control.edit(Spared())
    assert edit.touched.tolist() == [True] * 4 + [False] * 4
    activations = torch.ones(1, 3, 8)
    (block, _), tokens = layout.blocks, Tokens(torch.tensor([[0, 1, 2]]))
    change = edit.change(block, activations[..., :4], tokens) - 1
    assert torch.linalg.vector_norm(change, dim=-1)[0].tolist() == pytest.approx([0, 1, 1])


def test_the_direction_depends_on_the_position_and_not_on_the_batch():
    target = random_target(1, [40], 0.2)
    (control,) = noise_of(target)
    edit, (block,) = control.edit(Inhibit()), target.layout.blocks
    activations = torch.ones(2, 4, 40)
    together = edit.change(block, activations, Tokens(torch.tensor([[0, 1, 2, 3], [-1, -1, 0, 1]])))
    torch.testing.assert_close(together[1, 2:], together[0, :2])
    flat = edit.change(block, activations[0, 2:], Tokens(torch.tensor([2, 3])))
    torch.testing.assert_close(flat, together[0, 2:])
    assert (together[0, 0] - together[0, 1]).abs().max() > 0.1


def test_draws_differ_extend_and_are_told_apart_by_their_digest():
    target = random_target(1, [40], 0.2)
    few, many = noise_of(target, 2), noise_of(target, 4)
    digests = [each.edit(Inhibit()).digest for each in many]
    assert [each.edit(Inhibit()).digest for each in few] == digests[:2]
    assert len(set(digests)) == 4
    assert many[0].edit(Inhibit()).digest != Inhibit().edit(target).digest


def test_no_noise_on_keystones_and_the_norm_is_the_same():
    target = random_target(2, [30], 0.3)
    keystones = torch.arange(30) < 10
    (control,) = noise_of(target, keystones=keystones)
    edit, (block,) = control.edit(Inhibit()), target.layout.blocks
    activations = torch.ones(1, 5, 30)
    change = edit.change(block, activations, Tokens(torch.arange(5)[None])) - activations
    assert not change[..., :10].any()
    expected = target.size**0.5
    torch.testing.assert_close(torch.linalg.vector_norm(change, dim=-1), torch.full((1, 5), expected))


def test_directions_are_spread_evenly_over_the_neurons():
    target = random_target(2, [30], 0.3)
    (block,) = target.layout.blocks
    directions = torch.cat([each.edit(Inhibit()).directions(block) for each in noise_of(target, 40)])
    torch.testing.assert_close(directions.square().sum(dim=1), torch.ones(len(directions)).double())
    assert directions.square().mean(dim=0).tolist() == pytest.approx([1 / 30] * 30, rel=0.15)
    assert directions.mean(dim=0).abs().max() < 0.02


def test_a_running_model_gets_it_in_batches_as_alone(tiny_model):
    layout = tiny_model.layout(Site.mlp_output)
    labels = torch.full((layout.n_neurons,), OUTSIDE)
    labels[::7] = 0
    target = target_of(labels, [block.width for block in layout.blocks])
    target = replace(target, layout=layout)
    (control,) = noise_of(target)
    edit = control.edit(Inhibit())
    ids = torch.arange(1, 13).reshape(2, 6)
    kept = {}

    def keep(block, activations):
        kept[block.path] = activations.clone()

    with torch.inference_mode(), applied(tiny_model.model, layout, edit):
        together = tiny_model.model(input_ids=ids).logits
        alone = tiny_model.model(input_ids=ids[1:]).logits
        with visited(tiny_model.model, layout, keep):
            tiny_model.model(input_ids=ids)
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        untouched = tiny_model.model(input_ids=ids).logits
    assert (together - untouched).abs().max() > 1e-3
    assert set(kept) == {block.path for block in layout.blocks}
