"""Tiny models, and edits along the components of networks, for the tests of both."""

import functools

import torch
from zoo import ZOO

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.component.project import ProjectEdit
from fbn_exp.interventions.component.subtract import SubtractEdit
from fbn_exp.models.sites import resolve

MODELS = ("llama", "gpt2", "gemma3_text")
IDS = torch.randint(0, 250, (2, 7), generator=torch.Generator().manual_seed(1))
PAIR = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [2, 2])
# (3, 4) and (0, 2): directions (.6, .8) in the first block, (0, 1) in the second
PATTERN = torch.tensor([[3.0, 4, 0, 2]])


def projection_of(patterns=PATTERN, factors=(0.0,), layout=PAIR, centre=None, first_centre=None, **settings):
    patterns = torch.as_tensor(patterns)
    centre = torch.zeros(patterns.shape[1]) if centre is None else torch.as_tensor(centre)
    first = centre if first_centre is None else torch.as_tensor(first_centre)
    return ProjectEdit(
        patterns=patterns, factors=factors, layout=layout, centre=centre, first_centre=first, **settings
    )


@functools.cache
def shared(name):
    return ZOO[name].build()


@functools.cache
def layout_of(name, site=Site.mlp_output):
    return resolve(shared(name), site)


def logits(model, ids=IDS, **settings):
    with torch.no_grad():
        return model(input_ids=ids, **settings).logits


def random_projection(layout, n_networks=2, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(n_networks, layout.n_neurons, generator=generator)
    centre, first = 0.05 * torch.randn(2, layout.n_neurons, generator=generator)
    settings = {"factors": (0.0,) * n_networks, "centre": centre, "first_centre": first} | settings
    return projection_of(patterns, layout=layout, **settings)


def random_subtraction(layout, n_networks=2, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(n_networks, layout.n_neurons, generator=generator)
    centre, first = 0.05 * torch.randn(2, layout.n_neurons, generator=generator)
    fields = {
        "patterns": maps,
        "filters": torch.linalg.pinv(maps).T.contiguous(),
        "factors": (0.0,) * n_networks,
        "centre": centre,
        "first_centre": first,
    }
    return SubtractEdit(**(fields | changes))


def n_hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


def generated(model, cached, ids=IDS):
    with torch.no_grad():
        return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6,
                              do_sample=False, use_cache=cached, eos_token_id=None, pad_token_id=0,
                              output_logits=True, return_dict_in_generate=True)  # fmt: skip
