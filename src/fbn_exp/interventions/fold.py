"""Fold an edit into the weights of a model: an ordinary checkpoint that any tool can load."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import FoldError, LayoutError
from fbn_exp.core.files import new_folder
from fbn_exp.core.layout import Block, NeuronLayout, Site
from fbn_exp.interventions.block_maps import BlockMap
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.neuron_weights import expert_projection, last_projection, outputs_first
from fbn_exp.models.offload import is_offloaded
from fbn_exp.models.saving import save_checkpoint

PROBE_TOKENS = 16
# largest allowed |hooks − fold|, relative to how active a neuron is, by number of mantissa bits
TOLERANCE = {torch.bfloat16: 5e-2, torch.float16: 1e-2}
FULL_PRECISION_TOLERANCE = 1e-3


def folded(model: nn.Module, layout: NeuronLayout, edit: Edit) -> nn.Module:
    """Copy a model and fold the edit into its weights; the model itself is not changed.

    An edit of a block is an affine map, x to M x + shift: M is diagonal for an edit of single neurons, and
    takes directions out for a projection. The output W h + b of a block's last linear map becomes M W h + M b
    + shift. For ``mlp_hidden``, whose neurons are the input h, W becomes W M, and W · shift goes into b.
    Every block of the copy is run against the hooks on a few tokens before it is returned.

    Parameters
    ----------
    model : nn.Module
        A model of transformers with floating-point weights.
    layout : NeuronLayout
        Layout of the neurons.
    edit : Edit
        Edit to fold.

    Returns
    -------
    nn.Module
        Copy of the same class.

    Raises
    ------
    FoldError
        If the edit has no equivalent in the weights: if it depends on the position of tokens, or on more than
        the activations of a block; at ``block_output``, which is a sum over all earlier blocks; for a shift
        without a bias; for an unknown kind of mixture of experts; for quantised or offloaded weights.
    """
    if edit.unfoldable is not None:
        raise FoldError(f"the edit cannot be folded into weights: {edit.unfoldable}")
    if layout.site is Site.block_output:
        raise FoldError(
            "site=block_output cannot be folded: it is a sum over all earlier blocks; choose another site"
        )
    if is_offloaded(model):
        raise FoldError("some weights are offloaded by model.device_map: fold with model.device_map=cpu")
    twin = copy.deepcopy(model)
    touched = edit.touched
    with torch.no_grad():
        for block in layout.blocks:
            if touched[block.columns].any():
                _fold_block(twin, block, layout, edit)
    _compare(model, twin, layout, edit)
    return twin


def export(lm: LanguageModel, layout: NeuronLayout, edit: Edit, folder: Path) -> None:
    """Save a folded copy and its tokenizer as a folder for plain ``from_pretrained``.

    Raises
    ------
    FoldError
        As in ``folded``, or if ``folder`` holds something other than a model; nothing is written then.
    """
    if folder.is_file() or (
        folder.is_dir() and any(folder.iterdir()) and not (folder / "config.json").is_file()
    ):
        raise FoldError(f"{folder} exists and holds something other than a model: choose another folder")
    twin = folded(lm.model, layout, edit)
    with new_folder(folder) as partial:
        save_checkpoint(twin, lm.tokenizer, partial)  # type: ignore[arg-type]


def _fold_block(model: nn.Module, block: Block, layout: NeuronLayout, edit: Edit) -> None:
    change = edit.in_weights(block)
    module = model.get_submodule(block.path)
    if layout.reads_input:
        _change_inputs(block.path, module, change)
        return
    try:
        experts = expert_projection(block.path, module)
    except LayoutError as error:
        raise FoldError(f"cannot fold into {error}") from error
    if experts is not None:
        _change_experts(block.path, module, experts, change)
        return
    _change_outputs(block.path, _projection(block.path, module), change)


def _projection(path: str, module: nn.Module) -> nn.Module:
    try:
        return last_projection(path, module)[1]
    except LayoutError as error:
        raise FoldError(f"cannot fold into {error}") from error


def _weight(path: str, module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return _unquantised(path, weight)


def _unquantised(path: str, weight: nn.Parameter) -> nn.Parameter:
    if not weight.is_floating_point() or weight.element_size() < 2:
        raise FoldError(f"cannot fold into {path}: its weights are quantised ({weight.dtype})")
    return weight


def _change_outputs(path: str, module: nn.Module, change: BlockMap) -> None:
    weight = _weight(path, module)
    if outputs_first(module):
        weight.copy_(change.times(weight))
    else:
        weight.copy_(change.times(weight.T).T)
    bias = getattr(module, "bias", None)
    if bias is not None:
        bias.copy_(change.times(bias[:, None])[:, 0] + change.shift.to(bias))
    elif change.shift.any():
        raise FoldError(f"cannot fold a shift into {path}: its last linear map has no bias")


def _change_inputs(path: str, module: nn.Module, change: BlockMap) -> None:
    weight = _weight(path, module)
    by_input = weight.T if outputs_first(module) else weight
    if change.shift.any():
        bias = getattr(module, "bias", None)
        if bias is None:
            raise FoldError(f"cannot fold a shift into the input of {path}: it has no bias")
        bias.add_(change.shift.to(weight) @ by_input)
    by_input.copy_(change.transposed_times(by_input))


def _change_experts(path: str, module: nn.Module, experts: nn.Parameter, change: BlockMap) -> None:
    """Change a sum over experts, by changing every expert and the shared one."""
    if change.shift.any():
        raise FoldError(f"cannot fold a shift into {path}: the experts' sum has no bias")
    if experts.shape[1] != len(change.shift):
        raise FoldError(f"cannot fold into {path}: its experts' weights have shape {tuple(experts.shape)}")
    experts = _unquantised(path, experts)
    experts.copy_(change.times(experts))
    shared = getattr(module, "shared_expert", None)
    if shared is not None:
        _change_outputs(path, _projection(path, shared), change)


def _compare(model: nn.Module, twin: nn.Module, layout: NeuronLayout, edit: Edit) -> None:
    """Compare the fold with the hooks on a few tokens, to detect architectures that it does not hold for."""
    weight = next(model.parameters())
    config: Any = model.config
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, text_config.vocab_size, (1, PROBE_TOKENS), generator=generator)
    hooked: dict[str, Tensor] = {}
    errors: dict[str, float] = {}

    def keep(block: Block, activations: Tensor) -> None:
        hooked[block.path] = activations.clone()  # falcon modifies it in place

    def judge(block: Block, activations: Tensor) -> Tensor:
        errors[block.path] = _error(hooked[block.path], activations)
        # errors do not accumulate: every block is compared on the inputs that it has under the hooks
        return hooked[block.path]

    # where neurons are the input of a module, its output is compared
    outputs = replace(layout, site=Site.mlp_output) if layout.reads_input else layout
    with torch.inference_mode():
        with applied(model, layout, edit), visited(model, outputs, keep):
            logits = model(input_ids=ids.to(weight.device), use_cache=False).logits
        with visited(twin, outputs, judge):
            errors["the logits"] = _error(
                logits, twin(input_ids=ids.to(weight.device), use_cache=False).logits
            )
    for where, error in errors.items():
        if not error <= TOLERANCE.get(weight.dtype, FULL_PRECISION_TOLERANCE):
            raise FoldError(
                f"folded weights differ from the hooks by {error:.1e} at {where}: "
                f"{type(model).__name__} does more at {layout.site.value} than its last linear map"
            )


def _error(hooked: Tensor, written: Tensor) -> float:
    """Largest difference over neurons, relative to the neuron's peak or, if larger, the median peak."""
    width = hooked.shape[-1]
    expected, difference = hooked.float().reshape(-1, width), (hooked.float() - written.float()).abs()
    peak = expected.abs().amax(dim=0)
    usual = peak.clamp_min(peak[peak > 0].median() if peak.any() else 1e-30)
    return float((difference.reshape(-1, width).amax(dim=0) / usual).max())
