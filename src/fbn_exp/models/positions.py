"""Positions of tokens in the running forward pass of a model, for edits that treat first tokens apart."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import NeuronLayout

PADDING = -1


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens that a tensor of activations belongs to.

    Attributes
    ----------
    position : Tensor of int64
        Position of each token in its text, ``PADDING`` at padding; shape of the activations without their
        last dimension.
    """

    position: Tensor

    @cached_property
    def first(self) -> Tensor:
        """First tokens of texts, bool in the shape of ``position``."""
        return self.position == 0


def require_tokens(tokens: Tokens | None) -> Tokens:
    """Require the tokens of activations, for an edit whose change depends on them.

    Raises
    ------
    LayoutError
        If there are none.
    """
    if tokens is None:
        raise LayoutError("this edit depends on positions: give the tokens of the activations")
    return tokens


class RunningTokens:
    """Tokens of the latest forward pass of a model."""

    def __init__(self) -> None:
        self._position: Tensor | None = None
        self._shaped: dict[tuple[torch.device, int], Tokens] = {}

    def of(self, activations: Tensor) -> Tokens:
        """Tokens of activations, batch × tokens × width or (batch · tokens) × width, on their device.

        Raises
        ------
        LayoutError
            If no pass has told its tokens, or the activations are of another number of tokens.
        """
        if self._position is None:
            raise LayoutError(
                "an edit by position needs the tokens of the forward pass, and no module around the blocks "
                "was called with input_ids or inputs_embeds: take intervention.tokens=all and a fill that is "
                "the same at every token"
            )
        batch, length = self._position.shape
        leading = tuple(activations.shape[:-1])
        if leading not in ((batch, length), (batch * length,)):
            raise LayoutError(
                f"activations have shape {tuple(activations.shape)}, the forward pass has {batch} × {length} "
                "tokens: no edit by position is possible at this site of the model"
            )
        key = (activations.device, len(leading))
        if key not in self._shaped:
            self._shaped[key] = Tokens(self._position.to(activations.device).reshape(leading))
        return self._shaped[key]

    def _follow(self, position: Tensor) -> None:
        self._position = position
        self._shaped = {}


@contextmanager
def running_tokens(model: nn.Module, layout: NeuronLayout) -> Iterator[RunningTokens]:
    """Follow the tokens of every forward pass of a model while the context is open.

    Positions are the pass's ``position_ids``; without them they are counted in its attention mask of two
    dimensions, which may be padded on either side and reach back over cached tokens; without that, from the
    length of the cache on. The outermost module that is called with tokens is believed, so that both the
    model and its body can be called. After a pass its tokens stay known until the next one, because gradient
    checkpointing runs blocks again in the backward pass.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Names the blocks, whose enclosing modules are followed.

    Yields
    ------
    RunningTokens
        Updated by every pass.
    """
    running = RunningTokens()
    inside: list[nn.Module] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not inside and (position := _positions(_named(module, args, kwargs))) is not None:
            running._follow(position)
            inside.append(module)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if inside and inside[0] is module:
            inside.clear()

    with ExitStack() as hooks:
        for module in _around(model, layout):
            before = module.register_forward_pre_hook(enter, with_kwargs=True)
            after = module.register_forward_hook(leave, always_call=True)
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        yield running


def _around(model: nn.Module, layout: NeuronLayout) -> list[nn.Module]:
    """Return the modules that hold a block, from the model inwards."""
    parts = layout.blocks[0].path.split(".")
    return [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]


def _named(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """Name the arguments of a call of a module."""
    if not args:
        return kwargs
    try:
        return inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    except TypeError:  # the call itself will fail, and say so
        return kwargs


def _positions(arguments: Mapping[str, Any]) -> Tensor | None:
    """Position of every token of a pass, int64 of shape (batch, tokens); None for a call without tokens."""
    tokens = arguments.get("input_ids")
    if not isinstance(tokens, Tensor):
        tokens = arguments.get("inputs_embeds")
    if not isinstance(tokens, Tensor) or tokens.ndim < 2:
        return None
    batch, length = tokens.shape[:2]
    mask, given = arguments.get("attention_mask"), arguments.get("position_ids")
    # a mask of four dimensions says which token sees which, not which of them are padding
    padding = (mask[:, -length:] == 0) if isinstance(mask, Tensor) and mask.ndim == 2 else None
    if isinstance(given, Tensor):
        # rotary positions of several axes: the first is that of the text
        position = (given[0] if given.ndim == 3 else given).long().expand(batch, length)
    elif isinstance(mask, Tensor) and mask.ndim == 2:
        position = (mask != 0).long().cumsum(dim=1)[:, -length:] - 1
    else:
        past = _past_length(arguments.get("past_key_values"))
        position = torch.arange(past, past + length, device=tokens.device).expand(batch, length)
    if padding is None:
        return position.clone()
    return position.masked_fill(padding.to(position.device), PADDING)


def _past_length(cache: Any) -> int:
    if cache is None:
        return 0
    if hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length())
    raise LayoutError(
        f"an edit by position cannot read the number of cached tokens from a {type(cache).__name__}: "
        "give position_ids or an attention mask, or do not use a cache"
    )
