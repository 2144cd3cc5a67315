"""Train some entries of a weight tensor and freeze the rest, to the bit."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fbn_exp.core.errors import TrainingError
from fbn_exp.models.neuron_weights import WeightSlice

Finish = Callable[[], None]
"""Makes a trained model an ordinary one again: what was split up or added is merged into its weights."""


class PartlyTrainable(nn.Module):
    """Puts trainable entries into a frozen tensor wherever the model reads it.

    An optimiser sees ``values`` alone: it holds no state for frozen entries, and neither weight decay nor
    momentum reaches them.

    Parameters
    ----------
    weight : Tensor
        The tensor as it stands.
    dimension : int
        Along which entries are chosen.
    indices : Tensor of shape (n,), int64
        The trainable entries.
    """

    indices: Tensor

    def __init__(self, weight: Tensor, dimension: int, indices: Tensor) -> None:
        super().__init__()
        self.dimension = dimension
        self.register_buffer("indices", indices.to(weight.device), persistent=False)
        self.values = nn.Parameter(weight.detach().index_select(dimension, self.indices).clone())

    def forward(self, frozen: Tensor) -> Tensor:
        """Tensor of the same shape, with the trained values in their places."""
        return frozen.index_copy(self.dimension, self.indices, self.values)


def train_only(model: nn.Module, slices: Sequence[WeightSlice]) -> Finish:
    """Freeze everything but the given entries."""
    model.requires_grad_(False)
    for each in slices:
        _split(model, each, each.indices)
    return lambda: _merge(model, slices)


def train_all_but(model: nn.Module, slices: Sequence[WeightSlice]) -> Finish:
    """Freeze the given entries and nothing else."""
    model.requires_grad_(True)
    split = []
    for each in slices:
        weight = model.get_submodule(each.module).get_parameter(each.name)
        rest = torch.ones(weight.shape[each.dimension], dtype=torch.bool)
        rest[each.indices] = False
        weight.requires_grad_(False)
        if rest.any():
            _split(model, each, rest.nonzero()[:, 0])
            split.append(each)
    return lambda: _merge(model, split)


def _split(model: nn.Module, place: WeightSlice, indices: Tensor) -> None:
    module = model.get_submodule(place.module)
    weight = module.get_parameter(place.name)
    if not weight.is_floating_point():
        raise TrainingError(f"cannot train {place.path}: its weights are quantised ({weight.dtype})")
    weight.requires_grad_(False)
    part = PartlyTrainable(weight, place.dimension, indices)
    parametrize.register_parametrization(module, place.name, part, unsafe=True)


def _merge(model: nn.Module, slices: Sequence[WeightSlice]) -> None:
    for each in slices:
        parametrize.remove_parametrizations(model.get_submodule(each.module), each.name)
