"""Importance of hidden neurons by the criteria other than networks: weights, activity, gradients, chance."""

import torch
from torch import Tensor, nn

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.models.neuron_weights import outputs_first
from fbn_exp.pruning.architecture import all_weights, maps_of


def magnitudes(model: nn.Module, layout: NeuronLayout) -> Tensor:
    """Norm of all weights of each neuron, into it and out of it, biases included; float64 of shape (N,)."""
    found = []
    for block in layout.blocks:
        one = NeuronLayout.of(layout.site, [block.path], [block.width])
        squares = torch.zeros(block.width, dtype=torch.float64)
        for piece in all_weights(model, one):
            weight: Tensor = getattr(model.get_submodule(piece.module), piece.name)
            by_neuron = (
                weight.detach().double().movedim(piece.dimension, 0).flatten(1 if weight.ndim > 1 else 0)
            )
            sums = by_neuron.square().reshape(len(by_neuron), -1).sum(dim=1)
            # a fused map has the gates of all neurons, then their up projections
            squares += sums.reshape(-1, block.width).sum(dim=0).cpu()
        found.append(squares.sqrt())
    return torch.cat(found)


def outgoing_norms(model: nn.Module, layout: NeuronLayout) -> Tensor:
    """Norm of the weights from each neuron to the outputs of its MLP; float64 of shape (N,)."""
    found = []
    for _, _, out in maps_of(model, layout):
        weight = out.weight
        assert isinstance(weight, Tensor)
        found.append(weight.detach().double().norm(dim=0 if outputs_first(out) else 1).cpu())
    return torch.cat(found)


def wanda(model: nn.Module, layout: NeuronLayout, root_mean_square: Tensor) -> Tensor:
    """Root mean square of each neuron times the norm of its outgoing weights, float64 of shape (N,).

    The criterion of Sun et al. 2024 (A simple and effective pruning approach for large language models,
    ICLR) for single weights, |W| · ‖x‖, as the norm over the outgoing weights of a neuron.
    """
    return outgoing_norms(model, layout) * root_mean_square


def by_chance(layout: NeuronLayout, seed: int) -> Tensor:
    """Random importance, float64 of shape (N,)."""
    return torch.rand(layout.n_neurons, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
