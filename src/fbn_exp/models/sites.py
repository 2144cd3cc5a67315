"""Resolve a site to modules: the outputs of MLPs and attentions by architecture."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout, Site
from fbn_exp.models.hooks import visited
from fbn_exp.models.offload import device_of

# Module names inside a decoder block, tried in this order. A mixture of experts counts as the MLP
# that it replaces: its output is the sum over its experts.
CANDIDATES: dict[Site, tuple[str, ...]] = {
    Site.mlp_output: ("mlp", "block_sparse_moe", "feed_forward", "ffn", "fc2"),
    Site.mlp_hidden: (
        "mlp.down_proj",
        "mlp.c_proj",
        "mlp.dense_4h_to_h",
        "mlp.fc2",
        "mlp.fc_out",
        "ffn.down_proj",
        "feed_forward.w2",
        "feed_forward.down_proj",
        "fc2",
    ),
    Site.attention_output: ("self_attn", "self_attention", "attention", "attn", "linear_attn"),
    Site.block_output: ("",),
}

# Architectures whose module adds the residual stream to its output: the paper's formula
# W2 σ(W1 x + b1) + b2 is the output of the last projection inside it.
RESIDUAL_INSIDE: dict[str, dict[Site, str]] = {
    "bloom": {Site.mlp_output: "mlp.dense_4h_to_h", Site.attention_output: "self_attention.dense"},
    "mpt": {Site.mlp_output: "ffn.down_proj"},
}


def resolve(model: nn.Module, site: Site, paths: Mapping[str, str] | None = None) -> NeuronLayout:
    """Find the modules of a site in every decoder block, and their widths.

    Parameters
    ----------
    model : nn.Module
        A transformers model, or any module with ``config`` and a list of decoder blocks.
    site : Site
        Point in each block at which activations are read.
    paths : mapping of str to str, optional
        Path patterns by site name, ``*`` for the block's index, for unknown architectures.

    Returns
    -------
    NeuronLayout
        Blocks in the model's order; widths are measured in a forward pass over two tokens.

    Raises
    ------
    LayoutError
        If the architecture is unknown; the message lists the modules of the model.
    """
    sites = [known.value for known in Site]
    if unknown := sorted(set(paths or {}) - set(sites)):
        raise LayoutError(f"model.paths names {', '.join(unknown)}; the sites are {', '.join(sites)}")
    pattern = (paths or {}).get(site.value)
    module_paths = _match_pattern(model, site, pattern) if pattern else _match_candidates(model, site)
    shapes = _shapes(model, site, module_paths)
    tokens_first = all(shape[:-1] == (2, 1) for shape in shapes)
    return NeuronLayout.of(site, module_paths, [shape[-1] for shape in shapes], tokens_first)


def decoder_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Path and list of the decoder blocks: the first module list as long as the model is deep.

    Raises
    ------
    LayoutError
        If there is no such list.
    """
    config: Any = getattr(model, "config", None)
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    depth = getattr(text_config, "num_hidden_layers", None) or getattr(text_config, "num_layers", None)
    lists = {path: module for path, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    for path, module in lists.items():
        if len(module) == depth:
            return path, module
    listed = ", ".join(f"{path} ({len(module)})" for path, module in lists.items()) or "none"
    raise LayoutError(
        f"cannot find the decoder blocks of {type(model).__name__}: its config says that there are "
        f"{'an unknown number' if depth is None else depth}, its module lists are: {listed}. "
        "Name the modules: model.paths.mlp_output='path.to.blocks.*.mlp'"
    )


def enclosing(blocks: Sequence[str], path: str) -> int | None:
    """Index of the decoder block that a module lies in or is, None if it lies in none."""
    inside = [index for index, block in enumerate(blocks) if f"{path}.".startswith(f"{block}.")]
    return inside[0] if inside else None


def _match_candidates(model: nn.Module, site: Site) -> list[str]:
    root, blocks = decoder_blocks(model)
    model_type = getattr(model.config, "model_type", "")
    special = RESIDUAL_INSIDE.get(str(model_type), {}).get(site)
    names = (special,) if special else CANDIDATES[site]
    return [_match_in_block(f"{root}.{index}", block, names, site) for index, block in enumerate(blocks)]


def _match_in_block(path: str, block: nn.Module, names: Sequence[str], site: Site) -> str:
    modules = dict(block.named_modules())
    for name in names:
        if name in modules:
            return f"{path}.{name}".rstrip(".")
    inside = ", ".join(name for name in modules if name and name.count(".") < 2)
    experts = site is Site.mlp_hidden and any("experts" in name.split(".") for name in modules)
    why = (
        "its MLP is a mixture of experts without one hidden layer, take site=mlp_output; " if experts else ""
    )
    pattern = re.sub(r"\.\d+$", ".*", path)
    raise LayoutError(
        f"cannot find {site.value} in block {path} ({type(block).__name__}): {why}"
        f"looked for {', '.join(names)}, found: {inside}. Or name it: model.paths.{site.value}='{pattern}.…'"
    )


def _match_pattern(model: nn.Module, site: Site, pattern: str) -> list[str]:
    if pattern.count("*") != 1:
        raise LayoutError(f"model.paths.{site.value} is {pattern!r}: needs one * for the block's index")
    names = [path for path, _ in model.named_modules()]
    # a model may have the module in some of its blocks only, so indices need not be consecutive
    numbered = re.compile(re.escape(pattern).replace(r"\*", r"(\d+)"))
    matches = [match for name in names if (match := numbered.fullmatch(name))]
    if not matches:
        near = [name for name in names if ".0" in name and name.count(".") < 4] or ["none"]
        raise LayoutError(
            f"model.paths.{site.value}={pattern!r} matches no module; modules of block 0: {', '.join(near)}"
        )
    return [match.string for match in sorted(matches, key=lambda match: int(match[1]))]


def _shapes(model: nn.Module, site: Site, paths: Sequence[str]) -> list[torch.Size]:
    """Shape of each module's activations in a forward pass over one text of two tokens."""
    probe = NeuronLayout.of(site, paths, [0] * len(paths))
    shapes: dict[str, torch.Size] = {}

    def measure(block: Block, activations: Tensor) -> None:
        if not isinstance(activations, Tensor):
            raise LayoutError(
                f"{block.path} holds a {type(activations).__name__}, not a tensor of activations"
            )
        shapes[block.path] = activations.shape

    device = device_of(model)
    base = getattr(model, "base_model", model)
    with torch.inference_mode(), visited(model, probe, measure):
        base(input_ids=torch.zeros(1, 2, dtype=torch.long, device=device), use_cache=False)
    silent = [path for path in paths if path not in shapes]
    if silent:
        raise LayoutError(f"these modules did not run in a forward pass: {', '.join(silent)}")
    return [shapes[path] for path in paths]
