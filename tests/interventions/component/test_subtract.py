"""Time course times map is subtracted in a second pass, as computed offline from an untouched pass."""

import pytest
import torch
from component_edits import (
    IDS,
    MODELS,
    PAIR,
    generated,
    layout_of,
    logits,
    n_hooks,
    random_subtraction,
    shared,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache
from zoo import ZOO

import fbn_exp as fbn
from fbn_exp.core.errors import LayoutError, ModelError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.component.subtract import SubtractEdit
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.hooks import visited
from fbn_exp.models.positions import Tokens
from fbn_exp.models.sites import resolve


def untouched(model, layout, ids=IDS):
    """Activations of all neurons, batch × tokens × N."""
    seen = {}
    with visited(model, layout, lambda block, x: seen.update({block: x.clone()})):
        logits(model, ids)
    return torch.cat([seen[block].view(*ids.shape, -1) for block in layout.blocks], dim=-1)


def positions(ids=IDS):
    return Tokens(torch.arange(ids.shape[1]).expand(ids.shape))


def offline(model, layout, edit, ids=IDS):
    """Logits with constants added at every block and token, computed beforehand from an untouched pass."""
    x = untouched(model, layout, ids)
    first = (torch.arange(ids.shape[1]) == 0)[None, :, None]
    courses = (x - torch.where(first, edit.first_centre, edit.centre)) @ edit.filters.T
    taken = (courses * (1 - torch.tensor(edit.factors))) @ edit.patterns
    chosen = {Place.all: first | True, Place.first_only: first, Place.first_spared: ~first}[edit.place]
    taken = torch.where(chosen, taken, 0.0)
    with visited(model, layout, lambda block, y: y - taken[..., block.columns].reshape(y.shape)):
        return logits(model, ids)


def test_courses_are_those_of_a_least_squares_fit():
    # maps (1, 1, 0, 0) and (0, 1, 1, 0); x − centre = 2 (1, 1, 0, 0) − 3 (0, 1, 1, 0) + 5 (0, 0, 0, 1)
    maps = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0]])
    edit = SubtractEdit(
        patterns=maps,
        filters=torch.linalg.pinv(maps).T.contiguous(),
        factors=(0.0, 0.5),
        centre=torch.tensor([1.0, 0, 0, 0]),
        first_centre=torch.zeros(4),
    )
    x = torch.tensor([[3.0, -1, -3, 5], [2, -1, -3, 5]])
    tokens = Tokens(torch.tensor([1, 0]))
    courses = edit.courses(x, tokens)
    torch.testing.assert_close(courses, torch.tensor([[2.0, -3.0]] * 2))
    first, second = (edit.subtracted(block, x[:, block.columns], courses, tokens) for block in PAIR.blocks)
    # less 2 (1, 1, 0, 0) − 1.5 (0, 1, 1, 0)
    torch.testing.assert_close(first, torch.tensor([[1.0, -1.5], [0, -1.5]]))
    torch.testing.assert_close(second, torch.tensor([[-1.5, 5.0]] * 2))


@pytest.mark.parametrize("site", Site)
@pytest.mark.parametrize("name", [*MODELS, "opt", "chatglm", "mixtral"])
def test_a_second_pass_subtracts_what_an_untouched_pass_gives_offline(name, site):
    if ZOO[name].places[site] is None:
        pytest.skip("no such place")
    model, layout = shared(name), layout_of(name, site)
    edit, before = random_subtraction(layout), logits(model)
    hooks = n_hooks(model)
    with applied(model, layout, edit):
        found = logits(model)
        again = logits(model)
    torch.testing.assert_close(found, offline(model, layout, edit), rtol=1e-4, atol=1e-5)
    assert torch.equal(found, again)
    assert (found - before).abs().max() > 1e-3 * before.abs().max()
    assert torch.equal(logits(model), before)
    assert n_hooks(model) == hooks


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("factors", [(0.0, 0.0), (2.0, 0.5)])
def test_chosen_tokens_and_factors_are_those_of_the_offline_computation(place, factors):
    model, layout = shared("llama"), layout_of("llama")
    edit = random_subtraction(layout, place=place, factors=factors)
    expected = offline(model, layout, edit)
    with applied(model, layout, edit):
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-5)


def test_a_factor_of_1_is_bit_identical():
    for name in MODELS:
        model, layout = shared(name), layout_of(name)
        before = logits(model)
        with applied(model, layout, random_subtraction(layout, factors=(1.0, 1.0))):
            assert torch.equal(logits(model), before)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(-2, 3), place=st.sampled_from(Place), seed=st.integers(0, 50))
def test_the_subtracted_part_is_linear_in_the_factor(factor, place, seed):
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    tokens = Tokens(torch.tensor([0, 1, 2]))

    def changed(factor):
        edit = random_subtraction(PAIR, seed=seed, factors=(factor,) * 2, place=place)
        block = PAIR.blocks[1]
        return edit.subtracted(block, x[:, block.columns], edit.courses(x, tokens), tokens)

    torch.testing.assert_close(
        changed(factor), factor * changed(1.0) + (1 - factor) * changed(0.0), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("place", [Place.all, Place.first_spared])
def test_generation_with_a_cache_equals_generation_without(name, place):
    model, layout = shared(name), layout_of(name)
    with applied(model, layout, random_subtraction(layout, place=place)):
        slow, fast = generated(model, False), generated(model, True)
    assert torch.equal(slow.sequences, fast.sequences)
    torch.testing.assert_close(torch.stack(slow.logits), torch.stack(fast.logits), rtol=1e-4, atol=1e-4)
    plain = generated(model, True)
    assert (torch.stack(plain.logits) - torch.stack(fast.logits)).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_texts_padded_on_the_left_are_generated_from_as_alone(name):
    model, layout = shared(name), layout_of(name)
    ids = torch.cat([torch.zeros(1, 3, dtype=torch.long), IDS[:1, :4]], dim=1)
    mask = torch.tensor([[0] * 3 + [1] * 4])
    both, masks = torch.cat([ids, IDS[1:]]), torch.cat([mask, torch.ones(1, 7, dtype=torch.long)])
    with applied(model, layout, random_subtraction(layout)), torch.no_grad():
        alone = [generated(model, True, each).sequences[0, -6:] for each in (IDS[:1, :4], IDS[1:])]
        together = model.generate(
            input_ids=both, attention_mask=masks, max_new_tokens=6, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
    assert torch.equal(together[:, -6:], torch.stack(alone))


@pytest.mark.parametrize("name", MODELS)
def test_a_cache_that_the_model_makes_is_continued(name):
    model, layout = shared(name), layout_of(name)
    with applied(model, layout, random_subtraction(layout)), torch.no_grad():
        whole = model(input_ids=IDS, use_cache=False).logits
        start = model(input_ids=IDS[:, :4], use_cache=True)
        rest = model(input_ids=IDS[:, 4:], past_key_values=start.past_key_values).logits
    torch.testing.assert_close(torch.cat([start.logits, rest], dim=1), whole, rtol=1e-4, atol=1e-4)


def test_two_generations_side_by_side_keep_their_own_caches():
    model, layout = shared("llama"), layout_of("llama")
    with applied(model, layout, random_subtraction(layout)), torch.no_grad():
        caches = [DynamicCache(config=model.config) for _ in IDS]
        steps = [
            model(input_ids=IDS[row : row + 1, [place]], past_key_values=caches[row]).logits
            for place in range(7)
            for row in range(2)
        ]
        found = torch.cat([torch.cat(steps[row::2], dim=1) for row in range(2)])
        torch.testing.assert_close(found, logits(model), rtol=1e-4, atol=1e-4)


def test_beam_search_and_other_changes_of_the_cache_are_refused():
    model, layout = shared("llama"), layout_of("llama")
    with applied(model, layout, random_subtraction(layout)), torch.no_grad():
        with pytest.raises(ModelError, match="beam search"):
            model.generate(input_ids=IDS, attention_mask=torch.ones_like(IDS), num_beams=3, max_new_tokens=8,
                           eos_token_id=None, pad_token_id=0)  # fmt: skip
        cache = model(input_ids=IDS[:, :4], use_cache=True).past_key_values
        cache.reorder_cache(torch.tensor([1, 0]))
        with pytest.raises(ModelError, match="rows or tokens of the cache were changed"):
            model(input_ids=IDS[:, 4:], past_key_values=cache)
        cache = model(input_ids=IDS[:, :4], use_cache=True).past_key_values
        cache.crop(-2)
        with pytest.raises(ModelError, match="rows or tokens of the cache were changed"):
            model(input_ids=IDS[:, 4:], past_key_values=cache)
        # the model still works afterwards
        assert logits(model).isfinite().all()


def test_a_cache_that_was_filled_before_is_refused():
    model, layout = shared("llama"), layout_of("llama")
    with torch.no_grad():
        cache = model(input_ids=IDS[:, :4], use_cache=True).past_key_values
        with (
            applied(model, layout, random_subtraction(layout)),
            pytest.raises(ModelError, match="holds 4 tokens that were computed before the intervention"),
        ):
            model(input_ids=IDS[:, 4:], past_key_values=cache)


def test_the_hooks_are_gone_and_courses_forgotten_after_an_error():
    model = ZOO["llama"].build()
    layout, before = resolve(model, Site.mlp_output), logits(model)
    with pytest.raises(RuntimeError, match="inside"), applied(model, layout, random_subtraction(layout)):
        raise RuntimeError("inside")
    with applied(model, layout, random_subtraction(layout)):
        found = logits(model)
        with pytest.raises(IndexError):
            logits(model, IDS + 10_000)
        assert torch.equal(logits(model), found)
        with pytest.raises(LayoutError, match="outside of a forward pass"):
            model.model.layers[0].mlp(torch.randn(2, 7, 32))
    assert n_hooks(model) == 0
    assert torch.equal(logits(model), before)


def test_other_edits_and_other_subtractions_can_be_active_too():
    model, layout = shared("llama"), layout_of("llama")
    one, other = random_subtraction(layout, 1, seed=1), random_subtraction(layout, 1, seed=2)
    first = torch.where(torch.arange(layout.n_neurons) % 3 == 0, 0.0, 1.0)
    halved = AffineEdit(torch.ones(layout.n_neurons), torch.zeros(layout.n_neurons), first)
    both = SubtractEdit(
        patterns=torch.cat([one.patterns, other.patterns]),
        filters=torch.cat([one.filters, other.filters]),
        factors=(0.0, 0.0),
        centre=one.centre,
        first_centre=one.first_centre,
    )
    other = random_subtraction(layout, 1, seed=2, centre=one.centre, first_centre=one.first_centre)
    with applied(model, layout, both):
        together = logits(model)
    for edits in ((one, other), (other, one)):
        with applied(model, layout, edits[0]), applied(model, layout, edits[1]):
            torch.testing.assert_close(logits(model), together, rtol=1e-4, atol=1e-5)
    for edits in ((one, halved), (halved, one)):
        with applied(model, layout, edits[0]), applied(model, layout, edits[1]):
            assert logits(model).isfinite().all()
        with applied(model, layout, one):
            assert logits(model).isfinite().all()


def test_gradients_pass_through_the_second_pass():
    model, layout = ZOO["llama"].build(), layout_of("llama")
    with applied(model, layout, random_subtraction(layout)):
        with torch.inference_mode():
            model(input_ids=IDS)
        model(input_ids=IDS).logits.sum().backward()
    assert model.model.layers[0].mlp.down_proj.weight.grad.abs().sum() > 0


def test_digests_tell_edits_apart():
    one = random_subtraction(PAIR)
    others = [
        random_subtraction(PAIR, factors=(0.0, 0.5)),
        random_subtraction(PAIR, filters=2 * one.filters),
        random_subtraction(PAIR, patterns=2 * one.patterns),
        random_subtraction(PAIR, place=Place.first_only),
        random_subtraction(PAIR, centre=one.first_centre),
    ]
    assert len({edit.digest for edit in (one, *others)}) == 6
    assert random_subtraction(PAIR).digest == one.digest


@pytest.mark.parametrize(("how", "skipped"), [("none", 0), ("zscore", 0), ("zscore", 1)])
def test_time_courses_are_those_that_the_extraction_found(how, skipped, tmp_path):
    lm = fbn.load_model("tiny", cache=tmp_path)
    texts = fbn.load_texts("wiki", lm, n_texts=10, tokens_per_text=32)
    signals = fbn.record(lm, texts, standardise=how, skip_first=skipped)
    networks = fbn.fit(fbn.ICA(n_components=3), signals, keep_time_courses=True)
    edit = fbn.Subtract([2, 0], fill="mean").on(networks).edit
    courses = edit.courses(fbn.record(lm, texts, skip_first=skipped).values, None)
    courses = courses - courses.mean(dim=0)
    expected = networks.time_courses[:, [2, 0]].float()
    torch.testing.assert_close(courses, expected - expected.mean(dim=0), rtol=1e-3, atol=1e-3)
