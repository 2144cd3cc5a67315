"""Importance by weights, activity and networks, against numbers computed by hand."""

import pytest
import torch
from zoo import language_model

from fbn_exp.core.errors import PruningError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.hooks import visited
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.pruning.activity import measure_activity
from fbn_exp.pruning.architecture import hidden_layout
from fbn_exp.pruning.importance import magnitudes, outgoing_norms, wanda
from fbn_exp.pruning.networks import importance_in


@pytest.fixture(scope="module")
def texts():
    items = [
        TokenisedText(tuple(range(start, start + length)), Document(f"text {start}", "here"))
        for start, length in ((1, 5), (40, 9), (90, 7))
    ]
    return Texts(tuple(items))


def test_activity_is_that_of_all_tokens_without_padding_and_means_leave_out_first_ones(texts):
    lm = language_model("llama")
    layout = hidden_layout(lm)
    found = measure_activity(lm, layout, texts, first_excluded=1, batch_tokens=20)
    rows: dict[str, list[torch.Tensor]] = {}
    with (
        torch.inference_mode(),
        visited(lm.model, layout, lambda block, x: rows.setdefault(block.path, []).append(x[0].double())),
    ):
        for ids in texts.ids:
            lm.logits(torch.tensor([ids]))
    later = torch.cat([torch.cat([text[1:] for text in rows[block.path]]) for block in layout.blocks], dim=1)
    every = torch.cat([torch.cat(rows[block.path]) for block in layout.blocks], dim=1)
    torch.testing.assert_close(found.mean, later.mean(dim=0), rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(
        found.root_mean_square, every.square().mean(dim=0).sqrt(), rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2", "opt"])
def test_norms_of_weights_are_those_of_the_neurons_own(name):
    lm = language_model(name)
    layout = hidden_layout(lm)
    found, outgoing = magnitudes(lm.model, layout), outgoing_norms(lm.model, layout)
    neuron, block = 5, layout.blocks[1]
    mlp = lm.model.get_submodule(block.path.rpartition(".")[0])
    own = {
        "llama": lambda: [
            mlp.gate_proj.weight[neuron],
            mlp.up_proj.weight[neuron],
            mlp.down_proj.weight[:, neuron],
        ],
        "phi3": lambda: [
            mlp.gate_up_proj.weight[neuron],
            mlp.gate_up_proj.weight[block.width + neuron],
            mlp.down_proj.weight[:, neuron],
        ],
        "gpt2": lambda: [mlp.c_fc.weight[:, neuron], mlp.c_fc.bias[[neuron]], mlp.c_proj.weight[neuron]],
        "opt": lambda: [mlp.fc1.weight[neuron], mlp.fc1.bias[[neuron]], mlp.fc2.weight[:, neuron]],
    }[name]()
    torch.testing.assert_close(found[block.offset + neuron], torch.cat(own).double().norm())
    torch.testing.assert_close(outgoing[block.offset + neuron], own[-1].double().norm())
    assert torch.equal(wanda(lm.model, layout, torch.full((layout.n_neurons,), 2.0)), 2 * outgoing)


def layout_of(*widths):
    return NeuronLayout.of(Site.mlp_hidden, [f"b.{index}" for index in range(len(widths))], widths)


def test_importance_is_the_largest_z_in_any_network_of_the_own_block():
    first = torch.tensor([0.0, 0, 0, 4])
    maps = torch.zeros(3, 8)
    maps[0, :4], maps[1, :4], maps[2, 4:] = first, -first.flip(0), torch.tensor([1.0, -1, 1, -1])
    found = importance_in(FunctionalNetworks(maps, layout_of(4, 4), blocks=(0, 0, 1)), layout_of(4, 4))
    high, low = 3**0.5, 3**-0.5
    torch.testing.assert_close(found, torch.tensor([high, low, low, high, 1, 1, 1, 1]).double())


def test_a_block_without_networks_is_refused_unless_it_is_spared():
    maps = torch.tensor([[0.0, 0, 0, 4, 0, 0, 0, 0]])
    networks = FunctionalNetworks(maps, layout_of(4, 4), blocks=(0,))
    with pytest.raises(PruningError, match=r"block 1 \(b\.1\) has no networks"):
        importance_in(networks, layout_of(4, 4))
    assert not importance_in(networks, layout_of(4, 4), spared=(1,))[4:].any()


def test_networks_of_other_neurons_are_refused():
    with pytest.raises(PruningError, match="extract them with site=mlp_hidden"):
        importance_in(FunctionalNetworks(torch.ones(1, 8), layout_of(8)), layout_of(4, 4))
