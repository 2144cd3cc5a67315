"""Forward hooks on the modules of a layout, the only access to a running model; always removed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

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
