"""Targets of hand-made labels, and statistics of neurons that are known exactly."""

import torch
from neuron_statistics import same_everywhere

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.rules import Inhibit
from fbn_exp.interventions.target import OUTSIDE, Target


def target_of(labels, widths, activity=None):
    """Target of hand-made labels; activity rises with the index unless given."""
    layout = NeuronLayout.of(Site.mlp_output, [f"blocks.{i}" for i in range(len(widths))], widths)
    labels = torch.as_tensor(labels)
    if activity is None:
        activity = torch.arange(1.0, len(labels) + 1)
    networks = tuple(range(int(labels.max()) + 1))
    statistics = same_everywhere(torch.zeros(len(labels)), activity)
    return Target(networks, labels, layout, statistics)


def random_target(seed, widths, share, n_networks=3):
    generator = torch.Generator().manual_seed(seed)
    n_neurons = sum(widths)
    labels = torch.full((n_neurons,), OUTSIDE)
    members = torch.randperm(n_neurons, generator=generator)[: max(1, int(share * n_neurons))]
    labels[members] = torch.randint(0, n_networks, (len(members),), generator=generator)
    labels[members[0]] = n_networks - 1
    return target_of(labels, widths, torch.randn(n_neurons, generator=generator).mul(2).exp())


def original_of(target, mean_square, intervention=None, **known):
    """Original of an intervention that multiplies neurons of given mean squares."""
    square = torch.as_tensor(mean_square, dtype=torch.float64)
    return Original(
        target,
        intervention or Inhibit(),
        neuron_energy=lambda edit: (1 - edit.scale.double()).square() * square,
        **known,
    )
