"""From a change of a site's neurons to what it adds to the residual stream of its block."""

import torch
from torch import Tensor, nn

from fbn_exp.core.layout import Block, Site
from fbn_exp.models.offload import device_of

# normalisations between a module's output and the residual stream, in the order in which they are looked for
AFTER_MLP = ("post_feedforward_layernorm", "post_mlp_layernorm")
AFTER_ATTENTION = ("post_self_attn_layernorm", "post_attention_layernorm")


def added_to_residual(
    model: nn.Module, site: Site, block: Block, activations: Tensor, change: Tensor
) -> Tensor:
    """What a change of neurons adds to the residual stream behind their block, as far as it is direct.

    A change of ``mlp_hidden`` goes through the last projection of the MLP. Where the architecture normalises
    the output of the MLP or the attention before it is added, the change of the normalised output is taken.

    Parameters
    ----------
    model : nn.Module
        The model.
    site : Site
        Where the neurons are.
    block : Block
        Their block.
    activations, change : Tensor of shape (T, width), float32
        Untouched activations, and what is added to them.

    Returns
    -------
    Tensor of shape (T, hidden size), float32
        On the CPU.
    """
    norm = _norm_after(model, site, block.path)
    if site is Site.mlp_hidden:
        projection = model.get_submodule(block.path)
        # a linear map: its constant cancels, and the change is not lost in rounding beside the activations
        added = _run(projection, change) - _run(projection, torch.zeros_like(change[:1]))
        before = None if norm is None else _run(projection, activations)
    else:
        added, before = change, activations
    if norm is None or before is None:
        return added
    return _run(norm, before + added) - _run(norm, before)


def _norm_after(model: nn.Module, site: Site, path: str) -> nn.Module | None:
    """Find the normalisation that the output of a site passes before it is added to the residual stream."""
    if site is Site.block_output:
        return None
    names = AFTER_ATTENTION if site is Site.attention_output else AFTER_MLP
    parts = path.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        children = dict(model.get_submodule(".".join(parts[:depth])).named_children())
        # the norm called post_attention follows the attention itself only where one follows the MLP, too
        if any(name in children for name in AFTER_MLP):
            return next((children[name] for name in names if name in children), None)
    return None


def _run(module: nn.Module, values: Tensor) -> Tensor:
    """Run a module on rows of values in its own number format, without the hooks of a recording."""
    weight = next(module.parameters())
    dtype = weight.dtype if weight.dtype.is_floating_point else torch.float32
    with torch.inference_mode():
        result: Tensor = module(values.to(device_of(module), dtype))
    return result.float().cpu()
