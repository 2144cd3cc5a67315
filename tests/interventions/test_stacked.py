"""Rows of a batch under edits of their own, against each edit alone, for many architectures and kinds."""

from dataclasses import replace

import pytest
import torch
from component_edits import IDS, logits, random_projection, random_subtraction
from zoo import ZOO

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.controls.noise import NoiseEdit
from fbn_exp.interventions.edit import AffineEdit, applied, no_edit
from fbn_exp.interventions.resample import Donors, ResampleEdit
from fbn_exp.interventions.stacked import StackedAffineEdit, stacked, stacks
from fbn_exp.models.sites import resolve


def affine(layout, seed, first=False):
    """Scale some neurons of some blocks, shift others, at first tokens differently where asked for."""
    generator = torch.Generator().manual_seed(seed)

    def drawn():
        edit = no_edit(layout.n_neurons)
        block = layout.blocks[seed % len(layout.blocks)]
        edit.scale[block.columns] = 3 * torch.rand(block.width, generator=generator)
        edit.shift[: layout.n_neurons // 2] = torch.randn(layout.n_neurons // 2, generator=generator)
        return edit

    edit, other = drawn(), drawn()
    return replace(edit, first_scale=other.scale, first_shift=other.shift) if first else edit


def others(layout):
    generator = torch.Generator().manual_seed(0)
    donors = Donors(*(torch.randn(2, 5, layout.n_neurons, generator=generator)), seed=0)
    factor = (torch.rand(layout.n_neurons, generator=generator) > 0.3).float()
    allowed = torch.ones(layout.n_neurons, dtype=torch.bool)
    return [
        ResampleEdit(factor, donors, Place.first_spared),
        random_projection(layout),
        random_projection(layout, seed=1, place=Place.first_only),
        NoiseEdit(affine(layout, 5), layout, allowed, seed=3),
    ]


def kinds(layout):
    return {
        "scale and shift": [affine(layout, seed) for seed in range(3)],
        "first tokens apart": [affine(layout, 0), affine(layout, 1, first=True), no_edit(layout.n_neurons)],
        "others": others(layout),
        "mixed": [affine(layout, 2), *others(layout)[:2]],
    }


@pytest.mark.parametrize("kind", ["scale and shift", "first tokens apart", "others", "mixed"])
@pytest.mark.parametrize("name", ZOO)
def test_rows_are_those_of_each_edit_alone(name, kind):
    model = ZOO[name].build()
    layout = resolve(model, Site.mlp_output)
    edits = kinds(layout)[kind]
    with applied(model, layout, stacked(edits)):
        together = logits(model, IDS.repeat(len(edits), 1)).chunk(len(edits))
    untouched = logits(model)
    for edit, found in zip(edits, together, strict=True):
        with applied(model, layout, edit):
            alone = logits(model)
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)
        assert edit.touched.any() != torch.allclose(alone, untouched, atol=1e-6)


@pytest.mark.parametrize("site", [Site.mlp_hidden, Site.attention_output, Site.block_output])
def test_rows_are_those_of_each_edit_at_every_site(site):
    model = ZOO["llama"].build()
    layout = resolve(model, site)
    edits = [affine(layout, 0), affine(layout, 1, first=True), affine(layout, 2)]
    with applied(model, layout, stacked(edits)):
        together = logits(model, IDS.repeat(3, 1)).chunk(3)
    for edit, found in zip(edits, together, strict=True):
        with applied(model, layout, edit):
            torch.testing.assert_close(found, logits(model), rtol=1e-4, atol=1e-5)


def test_padding_on_either_side_does_not_move_first_tokens():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    edits = [affine(layout, 0, first=True), affine(layout, 1, first=True)]
    mask = torch.ones_like(IDS)
    mask[0, :3] = 0
    mask[1, -2:] = 0
    with applied(model, layout, stacked(edits)):
        together = logits(model, IDS.repeat(2, 1), attention_mask=mask.repeat(2, 1)).chunk(2)
    for edit, found in zip(edits, together, strict=True):
        with applied(model, layout, edit):
            alone = logits(model, attention_mask=mask)
        torch.testing.assert_close(found[mask == 1], alone[mask == 1], rtol=1e-4, atol=1e-5)


def test_edits_are_grouped_by_kind_and_those_with_a_pass_of_their_own_are_alone():
    layout = resolve(ZOO["llama"].build(), Site.mlp_output)
    scaled, subtraction, projection = affine(layout, 0), random_subtraction(layout), random_projection(layout)
    noise = NoiseEdit(subtraction, layout, torch.ones(layout.n_neurons, dtype=torch.bool), seed=0)
    edits = [scaled, projection, subtraction, scaled, projection, noise, scaled]
    assert stacks(edits, 2) == [[0, 3], [1, 4], [2], [5], [6]]
    assert stacks(edits, 1) == [[place] for place in range(7)]
    assert stacked([subtraction]) is subtraction
    assert isinstance(stacked([scaled, scaled]), StackedAffineEdit)


def test_a_batch_that_cannot_be_divided_is_refused():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    edits = [affine(layout, seed) for seed in range(3)]
    with (
        applied(model, layout, stacked(edits)),
        pytest.raises(LayoutError, match=r"batch of 2, which cannot be divided between 3 edits"),
    ):
        logits(model)


def test_edits_of_another_layout_are_refused():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    edits = [no_edit(layout.n_neurons), AffineEdit(torch.zeros(3), torch.zeros(3))]
    with pytest.raises(LayoutError, match="layout has"), applied(model, layout, stacked(edits)):
        pass
