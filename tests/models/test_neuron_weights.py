"""Weights are said to belong to a neuron: changing them changes it alone, and nothing once it is silenced."""

import pytest
import torch
from zoo import ZOO

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import applied, no_edit
from fbn_exp.models.hooks import visited
from fbn_exp.models.neuron_weights import neuron_weights
from fbn_exp.models.sites import resolve

IDS = torch.arange(3, 15)[None]
CASES = [
    (name, site)
    for name, row in ZOO.items()
    for site in (Site.mlp_output, Site.mlp_hidden, Site.attention_output)
    # the experts of gpt_oss have biases of their own, which the router weighs
    if row.places[site] is not None and (name, site) != ("gpt_oss", Site.mlp_output)
]


def chosen(layout, seed=0):
    return torch.rand(layout.n_neurons, generator=torch.Generator().manual_seed(seed)) < 0.3


def perturb(model, slices):
    with torch.no_grad():
        for place in slices:
            weight = model.get_parameter(place.path)
            weight.index_add_(
                place.dimension, place.indices, weight.index_select(place.dimension, place.indices) + 0.5
            )


def logits(model):
    with torch.inference_mode():
        return model(input_ids=IDS, use_cache=False).logits


def first_block(model, layout):
    seen = {}
    with (
        torch.inference_mode(),
        visited(model, layout, lambda block, values: seen.update({block: values * 1})),
    ):
        model(input_ids=IDS, use_cache=False)
    return seen[layout.blocks[0]]


@pytest.mark.parametrize(("name", "site"), CASES)
def test_changing_them_changes_these_neurons_and_no_other(name, site):
    model = ZOO[name].build()
    layout = resolve(model, site)
    members = chosen(layout)
    before = first_block(model, layout)
    perturb(model, neuron_weights(model, layout, members))
    changed = (first_block(model, layout) != before).flatten(0, -2).any(dim=0)
    assert torch.equal(changed, members[layout.blocks[0].columns])


@pytest.mark.parametrize(("name", "site"), CASES)
def test_changing_them_changes_nothing_while_the_neurons_are_silent(name, site):
    model = ZOO[name].build()
    layout = resolve(model, site)
    members = chosen(layout)
    edit = no_edit(layout.n_neurons)
    edit.scale[members] = 0
    with applied(model, layout, edit):
        before = logits(model)
        perturb(model, neuron_weights(model, layout, members))
        assert torch.allclose(logits(model), before, atol=1e-6)
    assert not torch.allclose(logits(model), before, atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "glm", "gpt2", "qwen2"])
def test_all_neurons_of_the_hidden_layer_own_the_whole_mlp_but_its_last_bias(name):
    model = ZOO[name].build()
    layout = resolve(model, Site.mlp_hidden)
    slices = neuron_weights(model, layout, torch.ones(layout.n_neurons, dtype=torch.bool))
    owned = {place.path: len(place.indices) for place in slices}
    mlp = {path: each for path, each in model.named_parameters() if ".mlp." in path}
    assert set(owned) == {path for path in mlp if not path.endswith("mlp.c_proj.bias")}
    for place in slices:
        assert owned[place.path] == mlp[place.path].shape[place.dimension]


def test_the_residual_stream_has_no_weights_of_its_own():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.block_output)
    with pytest.raises(LayoutError, match="sums over all earlier blocks"):
        neuron_weights(model, layout, chosen(layout))


def test_an_unknown_mixture_of_experts_is_refused():
    model = ZOO["gpt_oss"].build()
    layout = resolve(model, Site.mlp_output)
    with pytest.raises(LayoutError, match="not a known mixture of experts"):
        neuron_weights(model, layout, chosen(layout))
