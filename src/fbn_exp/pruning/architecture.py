"""What an architecture can hold: hidden layers of another width, and a bias of the map out of them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fbn_exp.core.errors import LayoutError, PruningError
from fbn_exp.core.layout import Block, NeuronLayout, Site
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.neuron_weights import WeightSlice, last_projection, neuron_weights
from fbn_exp.models.offload import is_offloaded

# fields of configurations that hold the width of the hidden layer, and of those that add biases to the MLP
WIDTH_FIELDS = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")
BIAS_FIELD = "mlp_bias"


def hidden_layout(lm: LanguageModel) -> NeuronLayout:
    """Layout of the hidden neurons of a model's MLPs, which are the inputs of their last maps.

    Raises
    ------
    PruningError
        If an MLP has no one hidden layer, or weights are quantised or offloaded.
    """
    if is_offloaded(lm.model):
        raise PruningError("some weights are offloaded by model.device_map: prune with model.device_map=cpu")
    try:
        layout = lm.layout(Site.mlp_hidden)
        for piece in all_weights(lm.model, layout):
            weight = _parameter(lm.model, piece)
            if not weight.is_floating_point() or weight.element_size() < 2:
                raise PruningError(
                    f"{piece.path} is quantised ({weight.dtype}): take model.quantization=none"
                )
    except LayoutError as error:
        raise PruningError(f"{lm.name} has no hidden neurons that can be taken out: {error}") from error
    return layout


def all_weights(model: nn.Module, layout: NeuronLayout) -> list[WeightSlice]:
    """Weights of all hidden neurons, block by block; the last of each block is that of the map out."""
    return neuron_weights(model, layout, torch.ones(layout.n_neurons, dtype=torch.bool))


def maps_of(model: nn.Module, layout: NeuronLayout) -> Iterator[tuple[Block, list[nn.Module], nn.Module]]:
    """Yield each block with its maps into the hidden layer and the map out of it."""
    for block in layout.blocks:
        path, out = last_projection(block.path, model.get_submodule(block.path))
        one = NeuronLayout.of(layout.site, [block.path], [block.width])
        paths = dict.fromkeys(piece.module for piece in all_weights(model, one))
        yield block, [model.get_submodule(each) for each in paths if each != path], out


@dataclass(frozen=True)
class Holding:
    """Configuration of a pruned model, and whether it holds the widths that are left.

    Attributes
    ----------
    config : PreTrainedConfig
        Configuration to save.
    smaller : bool
        Whether neurons can be taken out; if not, only zeros can stand for them.
    """

    config: PreTrainedConfig
    smaller: bool


def holding(model: PreTrainedModel, layout: NeuronLayout, widths: Sequence[int], bias: bool) -> Holding:
    """Find the configuration of the same architecture that holds hidden layers of given widths.

    A candidate holds them if a model that is made from it has every parameter in its shape: what an
    architecture can hold is tried, not listed.

    Parameters
    ----------
    model : PreTrainedModel
        The model, not changed.
    layout : NeuronLayout
        Layout of its hidden neurons.
    widths : sequence of int
        Width of each block's hidden layer after pruning.
    bias : bool
        Whether the maps out of the hidden layers need a bias.

    Raises
    ------
    PruningError
        If a bias is needed that the architecture does not have.
    """
    changes = _bias_settings(model, layout) if bias else {}
    full = [block.width for block in layout.blocks]
    unchanged = _holding(model, changes, _shapes(model, layout, full, bool(changes)))
    if unchanged is None:
        raise PruningError(
            f"prune.bias=true needs a bias in the map out of the hidden layer, and {type(model).__name__} "
            "has none, nor a setting that adds it: take prune.bias=false"
        )
    if list(widths) == full:
        return Holding(unchanged, True)
    expected = _shapes(model, layout, widths, bool(changes))
    uniform = [widths[0]] if len(set(widths)) == 1 else []
    for name in WIDTH_FIELDS:
        for value in (*uniform, list(widths)):
            if hasattr(model.config.get_text_config(), name):
                config = _holding(model, {**changes, name: value}, expected)
                if config is not None:
                    return Holding(config, True)
    return Holding(unchanged, False)


def _bias_settings(model: nn.Module, layout: NeuronLayout) -> dict[str, Any]:
    """Settings that add a bias to the maps out of the hidden layers; none where they have one."""
    return {BIAS_FIELD: True} if any(out.bias is None for _, _, out in maps_of(model, layout)) else {}


def _holding(
    model: PreTrainedModel, changes: Mapping[str, Any], shapes: Mapping[str, torch.Size]
) -> PreTrainedConfig | None:
    """Configuration with other settings; None unless a model that is made from it has these parameters."""
    config = copy.deepcopy(model.config)
    if not changes:
        return config
    try:
        for name, value in changes.items():
            setattr(config.get_text_config(), name, value)
        with torch.device("meta"):
            made = type(model)(config)
    # of settings that refuse a list, and of constructors that cannot work with another width
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, StrictDataclassError):
        return None
    found = {name: parameter.shape for name, parameter in made.named_parameters()}
    return config if found == shapes else None


def _shapes(
    model: nn.Module, layout: NeuronLayout, widths: Sequence[int], biases: bool
) -> dict[str, torch.Size]:
    """Shapes of all parameters of a model with other widths, and with biases in all maps of its MLPs."""
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for block, width in zip(layout.blocks, widths, strict=True):
        one = NeuronLayout.of(layout.site, [block.path], [block.width])
        for piece in all_weights(model, one):
            shape = list(shapes[piece.path])
            shape[piece.dimension] = len(piece.indices) // block.width * width
            shapes[piece.path] = torch.Size(shape)
    if biases:
        names = {id(module): name for name, module in model.named_modules()}
        for _, into, out in maps_of(model, layout):
            for module in (*into, out):
                name = names[id(module)]
                outputs = 1 if isinstance(module, Conv1D) else 0
                shapes[f"{name}.bias"] = torch.Size([shapes[f"{name}.weight"][outputs]])
    return shapes


def _parameter(model: nn.Module, piece: WeightSlice) -> Tensor:
    weight: Tensor = getattr(model.get_submodule(piece.module), piece.name)
    return weight
