"""Offloaded models: weights on disk or in CPU memory, which accelerate fetches module by module."""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn


def is_offloaded(model: nn.Module) -> bool:
    """True if some weights are on disk, or in CPU memory while the model runs on another device."""
    return any(weight.is_meta for weight in model.parameters())


def named_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield name and values of all parameters; offloaded ones are fetched one by one."""
    from accelerate.utils import align_module_device  # late: it takes a second

    # a tied parameter is one tensor under two names, but two tensors where one of them is offloaded
    twice = getattr(model, "all_tied_weights_keys", {}) if is_offloaded(model) else {}
    for name, weight in model.named_parameters():
        if name in twice:
            continue
        path, _, attribute = name.rpartition(".")
        module = model.get_submodule(path)
        with align_module_device(module, torch.device("cpu")) if weight.is_meta else nullcontext():
            yield name, getattr(module, attribute).detach()


def device_of(module: nn.Module) -> torch.device:
    """Device on which a module that holds weights runs."""
    device = next(module.parameters()).device
    if device.type != "meta":
        return device
    owner = next(part for part in module.modules() if next(part.parameters(recurse=False), None) is not None)
    # set by accelerate on every module whose weights it fetches
    return torch.device(owner._hf_hook.execution_device)  # type: ignore[union-attr, arg-type]
