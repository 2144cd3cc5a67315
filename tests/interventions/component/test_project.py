"""The direction of a component is taken out of each block, by hand on small numbers and on models."""

import pytest
import torch
from component_edits import (
    IDS,
    MODELS,
    PAIR,
    PATTERN,
    generated,
    layout_of,
    logits,
    projection_of,
    random_projection,
    shared,
)
from hypothesis import given
from hypothesis import strategies as st
from zoo import ZOO

from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.edit import applied
from fbn_exp.models.hooks import visited
from fbn_exp.models.positions import Tokens

FIRST, SECOND = PAIR.blocks


@pytest.mark.parametrize(
    ("factor", "centre", "expected"),
    [
        # (5, 10) · (.6, .8) = 11: 11 (.6, .8) = (6.6, 8.8) goes
        (0.0, [0.0, 0, 0, 0], [-1.6, 1.2]),
        (0.5, [0.0, 0, 0, 0], [1.7, 5.6]),
        (2.0, [0.0, 0, 0, 0], [11.6, 18.8]),
        # around (5, 0): (0, 10) · (.6, .8) = 8: (4.8, 6.4) goes
        (0.0, [5.0, 0, 0, 0], [0.2, 3.6]),
        # the centre's part across the direction does not matter
        (0.0, [5.0 + 4, -3, 0, 0], [0.2, 3.6]),
    ],
)
def test_numbers_are_those_computed_by_hand(factor, centre, expected):
    found = projection_of(factors=(factor,), centre=centre).change(FIRST, torch.tensor([[5.0, 10.0]]), None)
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_the_length_and_the_sign_of_a_map_do_not_matter():
    x = torch.tensor([[5.0, 10.0]])
    for pattern in (-PATTERN, 1e-3 * PATTERN, torch.tensor([[3.0, 4, 0, -7]])):
        torch.testing.assert_close(
            projection_of(pattern).change(FIRST, x, None), projection_of().change(FIRST, x, None)
        )


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place.all, [[1.0, 7.0], [1, 3], [1, 3]]),
        (Place.first_spared, [[1.0, 10.0], [1, 3], [1, 3]]),
        (Place.first_only, [[1.0, 7.0], [1, 10], [1, 10]]),
    ],
)
def test_first_tokens_have_their_own_centre_and_can_be_spared(place, expected):
    edit = projection_of(centre=[0.0, 0, 0, 3], first_centre=[0.0, 0, 0, 7], place=place)
    x = torch.tensor([[1.0, 10.0]]).repeat(3, 1)
    for shape in ((3,), (1, 3)):
        tokens = Tokens(torch.tensor([0, 1, 2]).view(shape))
        found = edit.change(SECOND, x.view(*shape, 2), tokens)
        assert found.view(3, 2).tolist() == expected


def test_several_networks_of_one_factor_lose_all_that_they_span():
    # (1, 0) and (1, 1) span the block: nothing remains but the centre
    edit = projection_of([[1.0, 0, 0, 0], [1, 1, 0, 0]], (0.0, 0.0), centre=[0.5, -0.5, 0, 0])
    torch.testing.assert_close(
        edit.change(FIRST, torch.tensor([[5.0, 10.0]]), None), torch.tensor([[0.5, -0.5]])
    )
    half = projection_of([[1.0, 0, 0, 0], [1, 1, 0, 0]], (0.5, 0.5))
    torch.testing.assert_close(
        half.change(FIRST, torch.tensor([[5.0, 10.0]]), None), torch.tensor([[2.5, 5.0]])
    )


def test_a_factor_for_each_scales_each_part_of_the_common_fit():
    # (5, 10) = −5 (1, 0) + 10 (1, 1)
    maps = [[2.0, 0, 0, 0], [3, 3, 0, 0]]
    for factors, expected in (((0.0, 1.0), [10.0, 10]), ((1.0, 0.0), [-5.0, 0]), ((2.0, 0.5), [-5.0, 5])):
        found = projection_of(maps, factors).change(FIRST, torch.tensor([[5.0, 10.0]]), None)
        torch.testing.assert_close(found, torch.tensor([expected]))


def test_networks_of_one_direction_take_one_factor_only():
    same = [[1.0, 1, 0, 0], [2, 2, 0, 0]]
    found = projection_of(same, (0.0, 0.0)).change(FIRST, torch.tensor([[5.0, 10.0]]), None)
    torch.testing.assert_close(found, torch.tensor([[-2.5, 2.5]]))
    with pytest.raises(ConfigError, match=r"the same direction in blocks\.0: give one factor"):
        projection_of(same, (0.0, 0.5))


def test_blocks_without_weight_are_left_alone():
    assert projection_of([[3.0, 4, 0, 0]]).touched.tolist() == [True, True, False, False]
    # the second block holds 4 / 29 of the energy
    assert projection_of(least_energy=0.13).touched.tolist() == [True, True, False, True]
    assert projection_of(least_energy=0.14).touched.tolist() == [True, True, False, False]
    # what is left of rounding is no direction
    assert projection_of([[3.0, 4, 1e-7, 0]]).touched.tolist() == [True, True, False, False]


def test_a_factor_of_1_touches_nothing():
    assert not projection_of(factors=(1.0,)).touched.any()
    model, layout = shared("llama"), layout_of("llama")
    before = logits(model)
    with applied(model, layout, random_projection(layout, factors=(1.0, 1.0))):
        assert torch.equal(logits(model), before)


@given(
    factor=st.floats(-2, 3),
    place=st.sampled_from(Place),
    seed=st.integers(0, 100),
    n_networks=st.integers(1, 3),
)
def test_the_change_is_linear_in_the_factor(factor, place, seed, n_networks):
    layout = NeuronLayout.of(Site.mlp_output, ["blocks.0"], [8])
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    tokens = Tokens(torch.tensor([[-1, 0, 1], [0, 1, 2]]))

    def changed(factor):
        edit = random_projection(layout, n_networks, seed, factors=(factor,) * n_networks, place=place)
        return edit.change(layout.blocks[0], x, tokens)

    torch.testing.assert_close(
        changed(factor), factor * x + (1 - factor) * changed(0.0), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("site", Site)
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_left_along_the_direction_but_the_centre(name, site):
    model, layout = shared(name), layout_of(name, site)
    edit, seen, before = random_projection(layout), {}, logits(model)
    with applied(model, layout, edit), visited(model, layout, lambda block, x: seen.update({block: x})):
        changed = logits(model)
    for block, x in seen.items():
        x = x.view(2, 7, -1)
        for pattern in edit.patterns[:, block.columns]:
            for tokens, centre in ((x[:, :1], edit.first_centre), (x[:, 1:], edit.centre)):
                left = (tokens - centre[block.columns]) @ (pattern / pattern.norm())
                assert left.abs().max() < 1e-5 * (1 + x.abs().max())
    assert (changed - before).abs().max() > 1e-3
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("name", MODELS)
def test_twice_is_once(name):
    model, layout = shared(name), layout_of(name)
    edit = random_projection(layout)
    with applied(model, layout, edit):
        once = logits(model)
        with applied(model, layout, edit):
            torch.testing.assert_close(logits(model), once, rtol=1e-5, atol=1e-5)


def test_bfloat16_activations_are_projected_in_float32():
    model = ZOO["llama"].build().to(torch.bfloat16)
    edit, seen = random_projection(layout_of("llama")), {}
    with (
        applied(model, layout_of("llama"), edit),
        visited(model, layout_of("llama"), lambda block, x: seen.update({block: x})),
    ):
        assert logits(model).dtype == torch.bfloat16
    for block, x in seen.items():
        exact = edit.change(block, x.double(), Tokens(torch.arange(7).expand(2, 7)))
        torch.testing.assert_close(x.double(), exact, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("place", Place)
def test_a_text_is_changed_alike_whatever_it_is_padded_with(name, place):
    model, layout = shared(name), layout_of(name)
    edit, text = random_projection(layout, place=place), IDS[:1]
    with applied(model, layout, edit):
        alone = logits(model, text)
        padding = torch.zeros(1, 3, dtype=torch.long)
        for ids, mask, kept in (
            (torch.cat([padding, text], 1), [[0] * 3 + [1] * 7], slice(3, None)),
            (torch.cat([text, padding], 1), [[1] * 7 + [0] * 3], slice(7)),
        ):
            mask = torch.tensor(mask)
            where = (mask.cumsum(1) - 1).clamp_min(0)
            padded = logits(model, ids, attention_mask=mask, position_ids=where)
            torch.testing.assert_close(padded[:, kept], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_generation_with_a_cache_equals_generation_without(name):
    model, layout = shared(name), layout_of(name)
    with applied(model, layout, random_projection(layout)):
        slow, fast = generated(model, False), generated(model, True)
    assert torch.equal(slow.sequences, fast.sequences)
    torch.testing.assert_close(torch.stack(slow.logits), torch.stack(fast.logits), rtol=1e-4, atol=1e-4)


def test_digests_tell_edits_apart():
    centre = torch.ones(4)
    settings = [
        {}, {"factors": (0.5,)}, {"patterns": 2 * PATTERN}, {"centre": centre}, {"first_centre": centre},
        {"place": Place.first_only}, {"least_energy": 0.1},
    ]  # fmt: skip
    edits = [projection_of(**each) for each in settings]
    assert len({edit.digest for edit in edits}) == len(edits)
    assert projection_of().digest == projection_of().digest
