"""Members of networks as lists of neurons that other tools can read."""

import json

import torch
from synthetic import lay_out, networks_of
from torch import nn
from zoo import TINY

from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.random import random_model
from fbn_exp.models.sites import resolve
from fbn_exp.thresholds.z import ZThreshold


def test_the_file_beside_the_networks_lists_every_member_by_the_path_of_its_module(tmp_path):
    networks = networks_of(3, lay_out(2, 50))
    networks.save(tmp_path / "networks", ZThreshold(1.5))
    told = json.loads((tmp_path / "networks" / "neurons.json").read_text())
    assert (told["site"], told["tensor"], told["axis"]) == ("mlp_output", "output", -1)
    assert told["modules"] == {"layers.0": 50, "layers.1": 50}
    masks = networks.masks(ZThreshold(1.5))
    assert masks.any(dim=1).all()
    for mask, weights, network in zip(masks, networks.maps, told["networks"], strict=True):
        listed = torch.zeros(100, dtype=torch.bool)
        for block in networks.layout.blocks:
            for neuron in network["neurons"].get(block.path, []):
                listed[block.offset + neuron] = True
        assert torch.equal(listed, mask)
        down = sum(len(members) for members in network["down"].values())
        assert down == int((mask & (weights < 0)).sum())


def test_members_that_are_zeroed_by_hooks_of_another_program_give_the_same_logits(tmp_path):
    model = random_model("llama", TINY).eval()
    for site in (Site.mlp_output, Site.mlp_hidden):
        networks = networks_of(2, resolve(model, site))
        networks.save(tmp_path / site.value)
        told = json.loads((tmp_path / site.value / "neurons.json").read_text())
        ids = torch.arange(10)[None]
        mask = networks.masks()[1]
        edit = AffineEdit((~mask).float(), torch.zeros(len(mask)))
        with torch.inference_mode(), applied(model, networks.layout, edit):
            expected = model(input_ids=ids).logits
        assert torch.equal(zeroed(model, told, 1, ids), expected)


def zeroed(model: nn.Module, told: dict, network: int, ids: torch.Tensor) -> torch.Tensor:
    """Logits by plain hooks, from the file alone."""
    handles = []
    for path, neurons in told["networks"][network]["neurons"].items():
        module = model.get_submodule(path)
        if told["tensor"] == "output":

            def at_output(_, __, output, neurons=neurons):
                return output.index_fill(-1, torch.tensor(neurons), 0)

            handles.append(module.register_forward_hook(at_output))
        else:

            def at_input(_, inputs, neurons=neurons):
                return (inputs[0].index_fill(-1, torch.tensor(neurons), 0),)

            handles.append(module.register_forward_pre_hook(at_input))
    with torch.inference_mode():
        logits = model(input_ids=ids).logits
    for handle in handles:
        handle.remove()
    return logits
