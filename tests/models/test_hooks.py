import functools
from contextlib import contextmanager

import pytest
import torch
from zoo import DEPTH, PLACES, ZOO

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.models.hooks import visited
from fbn_exp.models.sites import resolve

IDS = torch.randint(0, 250, (2, 5), generator=torch.Generator().manual_seed(1))


@functools.cache
def shared(name):
    """One model for all tests that leave it as it was."""
    return ZOO[name].build()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def n_hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


def keep(block, activations):
    return None


def halve(block, activations):
    return activations * 0.5


@contextmanager
def halved_by_hand(model, place):
    def on_input(module, args):
        return (args[0] * 0.5, *args[1:])

    def on_output(module, args, output):
        return (output[0] * 0.5, *output[1:]) if isinstance(output, tuple) else output * 0.5

    modules = [model.get_submodule(place.in_block(index)) for index in range(DEPTH)]
    if place.tensor == "input":
        handles = [module.register_forward_pre_hook(on_input) for module in modules]
    else:
        handles = [module.register_forward_hook(on_output) for module in modules]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_a_visitor_that_returns_none_leaves_the_logits_bit_identical(name, site):
    model = shared(name)
    before = logits(model)
    with visited(model, resolve(model, site), keep):
        during = logits(model)
    assert torch.equal(during, before)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_what_a_visitor_returns_replaces_the_activations(name, site):
    """The same change is made by hand, with torch's hooks, on the modules that the zoo's table states."""
    model, place = shared(name), ZOO[name].places[site]
    with visited(model, resolve(model, site), halve):
        through_visitor = logits(model)
    with halved_by_hand(model, place):
        by_hand = logits(model)
    assert torch.equal(through_visitor, by_hand)
    assert not torch.equal(through_visitor, logits(model))


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("llama", Site.attention_output),
        ("gpt_oss", Site.mlp_output),
        ("bloom", Site.block_output),
        ("chatglm", Site.block_output),
    ],
)
def test_the_rest_of_a_tuple_is_kept(name, site):
    model = ZOO[name].build()
    layout = resolve(model, site)
    module, seen = model.get_submodule(layout.blocks[0].path), []
    with visited(model, layout, halve):
        module.register_forward_hook(lambda module, args, output: seen.append(output))
        logits(model)
    with visited(model, layout, keep):
        logits(model)
    changed, unchanged = seen
    assert isinstance(unchanged, tuple)
    assert len(changed) == len(unchanged) > 1
    torch.testing.assert_close(changed[0], unchanged[0] * 0.5)
    for one, other in zip(changed[1:], unchanged[1:], strict=True):
        assert one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("site", Site)
def test_hooks_of_others_stay(site):
    model, others = ZOO["llama"].build(), []
    for module in model.modules():
        module.register_forward_hook(lambda *_: others.append("output"))
        module.register_forward_pre_hook(lambda *_: others.append("input"))
    before = n_hooks(model)
    with visited(model, resolve(model, site), keep):
        assert n_hooks(model) == before + DEPTH
    assert n_hooks(model) == before
    others.clear()
    logits(model)
    assert {"input", "output"} == set(others)


@pytest.mark.parametrize("site", Site)
def test_hooks_are_gone_after_an_exception(site):
    model = ZOO["llama"].build()
    layout, before = resolve(model, site), logits(model)

    def refuse(block, activations):
        raise RuntimeError(f"refused in {block.path}")

    with pytest.raises(RuntimeError, match=layout.blocks[0].path), visited(model, layout, refuse):
        logits(model)
    assert n_hooks(model) == 0
    assert torch.equal(logits(model), before)


def test_nested_visitors_close_one_by_one():
    model = ZOO["llama"].build()
    layout, seen = resolve(model, Site.mlp_output), []
    with visited(model, layout, keep):
        with visited(model, layout, lambda block, activations: seen.append(block)):
            logits(model)
        assert n_hooks(model) == DEPTH
        logits(model)
    assert seen == list(layout.blocks)
    assert n_hooks(model) == 0


def test_a_path_that_is_not_in_the_model_is_an_error_and_leaves_no_hook():
    model = ZOO["llama"].build()
    layout = NeuronLayout.of(Site.mlp_output, ["model.layers.0.mlp", "model.layers.9.mlp"], [32, 32])
    with (
        pytest.raises(LayoutError, match=r"no module 'model\.layers\.9\.mlp'"),
        visited(model, layout, keep),
    ):
        pytest.fail("the context must not open")
    assert n_hooks(model) == 0
