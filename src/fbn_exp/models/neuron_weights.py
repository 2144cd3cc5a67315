"""Map the neurons of a site to entries of the model's weights, for every supported architecture."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout, Site

# the last linear map inside an MLP or attention module, by architecture
PROJECTIONS = (
    "down_proj",
    "c_proj",
    "dense_4h_to_h",
    "fc2",
    "fc_out",
    "w2",
    "o_proj",
    "out_proj",
    "dense",
    "attention.out_proj",
)
# children of a mixture of experts whose output is exactly the sum over its experts
EXPERTS_CHILDREN = {"gate", "experts", "shared_expert", "shared_expert_gate", "act_fn", "jitter"}
# a fused projection holds the gates of all neurons, then their up projections
FUSED = 2


@dataclass(frozen=True, eq=False)
class WeightSlice:
    """Entries of one weight tensor at given indices along one dimension.

    Attributes
    ----------
    module, name : str
        Path of the module, and name of its parameter.
    dimension : int
        Dimension that runs over neurons.
    indices : Tensor of shape (n,), int64
        Indices along it, ascending.
    """

    module: str
    name: str
    dimension: int
    indices: Tensor

    @property
    def path(self) -> str:
        """Name of the parameter as in ``named_parameters``."""
        return f"{self.module}.{self.name}"


def outputs_first(module: nn.Module) -> bool:
    """True if a linear map's weight is outputs × inputs; Conv1D stores inputs × outputs."""
    return not isinstance(module, Conv1D)


def last_projection(path: str, module: nn.Module) -> tuple[str, nn.Module]:
    """Path and module of the linear map whose outputs are the neurons of ``module``.

    Raises
    ------
    LayoutError
        If there is no linear map with a known name.
    """
    if isinstance(module, nn.Linear | Conv1D):
        return path, module
    for name in PROJECTIONS:
        try:
            projection = module.get_submodule(name)
        except AttributeError:
            continue
        if isinstance(projection, nn.Linear | Conv1D):
            return f"{path}.{name}", projection
    children = ", ".join(f"{name} ({type(child).__name__})" for name, child in module.named_children())
    raise LayoutError(f"{path}: no last linear map among its children: {children}")


def expert_projection(path: str, module: nn.Module) -> nn.Parameter | None:
    """Down projections of all experts of a mixture, experts × outputs × inputs; None for any other module.

    Raises
    ------
    LayoutError
        If the mixture does more than sum its experts, or stores them in an unknown way.
    """
    experts = getattr(module, "experts", None)
    if experts is None:
        return None
    down = getattr(experts, "down_proj", None)
    strange = [name for name, _ in module.named_children() if name not in EXPERTS_CHILDREN]
    if not isinstance(down, nn.Parameter) or hasattr(experts, "down_proj_bias") or strange:
        raise LayoutError(f"{path}: {type(module).__name__} is not a known mixture of experts")
    if down.ndim != 3:
        raise LayoutError(
            f"{path}: its experts' weights have shape {tuple(down.shape)}, not experts × outputs × inputs"
        )
    return down


def neuron_weights(model: nn.Module, layout: NeuronLayout, members: Tensor) -> list[WeightSlice]:
    """Weights that belong exclusively to the given neurons of a site.

    For outputs of an MLP or attention: the neurons' rows of the last linear map W h + b, and their entries of
    b. For ``mlp_hidden``: the neurons' rows of the maps into the hidden layer (gate and up, with biases), and
    their columns of the map out of it.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Layout of the neurons.
    members : Tensor of shape (N,), bool
        True at the chosen neurons.

    Returns
    -------
    list of WeightSlice
        In the order of the blocks; no tensor occurs twice.

    Raises
    ------
    LayoutError
        At ``block_output``, whose neurons have no exclusive weights, or if the architecture stores them in
        an unknown way.
    """
    if layout.site is Site.block_output:
        raise LayoutError(
            "site is block_output: its neurons are sums over all earlier blocks and have no weights of their "
            "own; take another site"
        )
    slices: list[WeightSlice] = []
    for block in layout.blocks:
        local = members[block.columns].nonzero()[:, 0]
        if len(local):
            slices += _hidden(model, block, local) if layout.reads_input else _outputs(model, block, local)
    return slices


def _outputs(model: nn.Module, block: Block, local: Tensor) -> Iterator[WeightSlice]:
    module = model.get_submodule(block.path)
    if expert_projection(block.path, module) is not None:
        yield WeightSlice(f"{block.path}.experts", "down_proj", 1, local)
        if (shared := getattr(module, "shared_expert", None)) is not None:
            yield from _rows(*last_projection(f"{block.path}.shared_expert", shared), local)
        return
    yield from _rows(*last_projection(block.path, module), local)


def _rows(path: str, module: nn.Module, local: Tensor) -> Iterator[WeightSlice]:
    yield WeightSlice(path, "weight", 0 if outputs_first(module) else 1, local)
    if getattr(module, "bias", None) is not None:
        yield WeightSlice(path, "bias", 0, local)


def _hidden(model: nn.Module, block: Block, local: Tensor) -> Iterator[WeightSlice]:
    path, down = last_projection(block.path, model.get_submodule(block.path))
    parent, _, down_name = path.rpartition(".")
    into = [
        (name, module)
        for name, module in model.get_submodule(parent).named_children()
        if name != down_name
        and isinstance(module, nn.Linear | Conv1D)
        and _n_outputs(module) in (block.width, FUSED * block.width)
    ]
    if not into:
        raise LayoutError(f"{path}: no linear map with {block.width} outputs beside it leads to its input")
    for name, module in into:
        fused = _n_outputs(module) == FUSED * block.width
        rows = torch.cat([local, local + block.width]) if fused else local
        yield from _rows(f"{parent}.{name}", module, rows)
    yield WeightSlice(path, "weight", 1 if outputs_first(down) else 0, local)


def _n_outputs(module: nn.Module) -> int:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0 if outputs_first(module) else 1]
