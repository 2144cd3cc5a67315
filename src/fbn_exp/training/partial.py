"""Train some entries of a weight tensor and keep the others exactly as they are."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fbn_exp.core.errors import TrainingError
from fbn_exp.models.neuron_weights import WeightSlice

Finish = Callable[[], None]
"""Function that merges what was split off or added for training back into the model's weights."""


class PartlyTrainable(nn.Module):
    """Parametrization that inserts trainable entries into a frozen tensor.

    The optimiser sees ``values`` alone: it holds no state for frozen entries, and neither weight decay nor
    momentum changes them.

    Parameters
    ----------
    weight : Tensor
        The original tensor.
    dimension : int
        Dimension along which entries are chosen.
    indices : Tensor of shape (n,), int64
        Indices of the trainable entries.
    """

    indices: Tensor

    def __init__(self, weight: Tensor, dimension: int, indices: Tensor) -> None:
        super().__init__()
        self.dimension = dimension
        self.register_buffer("indices", indices.to(weight.device), persistent=False)
        self.values = nn.Parameter(weight.detach().index_select(dimension, self.indices).clone())

    def forward(self, frozen: Tensor) -> Tensor:
        """Return the tensor with the trained values inserted."""
        return frozen.index_copy(self.dimension, self.indices, self.values)


def train_only(model: nn.Module, slices: Sequence[WeightSlice]) -> Finish:
    """Freeze everything but the given entries."""
    model.requires_grad_(False)
    for place in slices:
        _split(model, place, place.indices)
    return lambda: _merge(model, slices)


def train_all_but(model: nn.Module, slices: Sequence[WeightSlice]) -> Finish:
    """Freeze the given entries and nothing else."""
    model.requires_grad_(True)
    split = []
    for place in slices:
        weight = model.get_submodule(place.module).get_parameter(place.name)
        rest = torch.ones(weight.shape[place.dimension], dtype=torch.bool)
        rest[place.indices] = False
        weight.requires_grad_(False)
        if rest.any():
            _split(model, place, rest.nonzero()[:, 0])
            split.append(place)
    return lambda: _merge(model, split)


def _split(model: nn.Module, place: WeightSlice, indices: Tensor) -> None:
    module = model.get_submodule(place.module)
    weight = module.get_parameter(place.name)
    if not weight.is_floating_point():
        raise TrainingError(
            f"cannot train {place.path}: its weights are quantised ({weight.dtype}); take a model that is "
            "not quantised"
        )
    weight.requires_grad_(False)
    part = PartlyTrainable(weight, place.dimension, indices)
    parametrize.register_parametrization(module, place.name, part, unsafe=True)


def _merge(model: nn.Module, slices: Sequence[WeightSlice]) -> None:
    for place in slices:
        parametrize.remove_parametrizations(model.get_submodule(place.module), place.name)
