"""Forward hooks on the modules of a layout, the only access to a running model; always removed."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout

Visitor = Callable[[Block, Tensor], Tensor | None]
"""Function of a block and its activations; its result replaces them, None keeps them.

Activations are batch × tokens × width, or (batch · tokens) × width where the architecture flattens them.
"""


_edited: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""Number of contexts that change the activations of a model at the moment."""


@contextmanager
def marked_as_edited(model: nn.Module) -> Iterator[None]:
    """Mark a model whose activations are changed, so that nothing takes it for the model of its weights."""
    _edited[model] = _edited.get(model, 0) + 1
    try:
        yield
    finally:
        _edited[model] -= 1


def is_edited(model: nn.Module) -> bool:
    """Return True while an intervention is active on the model."""
    return _edited.get(model, 0) > 0


@contextmanager
def visited(model: nn.Module, layout: NeuronLayout, visit: Visitor) -> Iterator[nn.Module]:
    """Call ``visit`` on the activations of every block of ``layout`` while the context is open.

    At the end only these hooks are removed, also after an exception.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Names the modules; decides between their inputs and their outputs.
    visit : callable
        Called with ``(block, activations)``; see ``Visitor``.

    Yields
    ------
    nn.Module
        The same model.

    Raises
    ------
    LayoutError
        If the model has no module at a block's path.
    """
    if layout.tokens_first:
        visit = _batch_first(visit)
    with ExitStack() as hooks:
        for block in layout.blocks:
            try:
                module = model.get_submodule(block.path)
            except AttributeError as error:
                raise LayoutError(f"the model has no module {block.path!r}: {error}") from error
            if layout.reads_input:
                handle = module.register_forward_pre_hook(_on_input(block, visit))
            else:
                handle = module.register_forward_hook(_on_output(block, visit))
            hooks.callback(handle.remove)
        yield model


def _batch_first(visit: Visitor) -> Visitor:
    def transposed(block: Block, activations: Tensor) -> Tensor | None:
        changed = visit(block, activations.transpose(0, 1))
        return None if changed is None else changed.transpose(0, 1).contiguous()

    return transposed


def _on_input(block: Block, visit: Visitor) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> Any:
        changed = visit(block, args[0])
        return None if changed is None else (changed, *args[1:])

    return hook


def _on_output(block: Block, visit: Visitor) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        # attention modules, and whole blocks of some architectures, return a tuple
        is_tuple = isinstance(output, tuple)
        changed = visit(block, output[0] if is_tuple else output)
        if changed is None:
            return None
        return (changed, *output[1:]) if is_tuple else changed

    return hook


@contextmanager
def kept_outputs(model: nn.Module, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a dict that receives a copy of what the modules at ``paths`` return, by path."""
    outputs: dict[str, Any] = {}
    with ExitStack() as hooks:
        for path in paths:

            def keep(module: nn.Module, args: tuple[Any, ...], output: Any, path: str = path) -> None:
                # later modules may add to it in place
                outputs[path] = stacked(output, 1)

            handle = model.get_submodule(path).register_forward_hook(keep)
            hooks.callback(handle.remove)
        yield outputs


@contextmanager
def returning(model: nn.Module, outputs: Mapping[str, Any]) -> Iterator[nn.Module]:
    """Let modules return given values instead of running, while the context is open.

    What a module would have left anywhere but in its output is missing then.

    Parameters
    ----------
    model : nn.Module
        The model.
    outputs : mapping of str to object
        Output of a module, by its path.
    """
    with ExitStack() as before:
        for path, output in outputs.items():
            module = model.get_submodule(path)
            # an offloaded module has a forward of its own among its attributes
            before.callback(_put_back, module, module.__dict__.get("forward"))
            module.forward = functools.partial(_given, output)
        yield model


def _given(output: Any, *args: Any, **kwargs: Any) -> Any:
    return output


def _put_back(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def stacked(output: Any, copies: int, dim: int = 0) -> Any:
    """Repeat the tensors in a module's output along the dimension of texts; always a copy."""
    if isinstance(output, Tensor):
        return torch.cat([output] * copies, dim) if output.ndim > dim else output.clone()
    if isinstance(output, tuple):
        return tuple(stacked(part, copies, dim) for part in output)
    return output
