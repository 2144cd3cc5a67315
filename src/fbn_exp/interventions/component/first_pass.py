"""An untouched pass before every forward pass of a model, over the same tokens, with a cache of its own."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import ModelError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.models.hooks import Visitor, visited

_in_first_pass: WeakSet[nn.Module] = WeakSet()
"""Bodies of models that run an untouched pass at the moment."""

# what the first layer of a cache holds of the tokens so far, by kind of attention
STATES = ("keys", "conv_states", "recurrent_states")
# difference relative to the largest state: the same tokens differ by rounding at most
TOLERANCE = 1e-2


def body_of(model: nn.Module, layout: NeuronLayout) -> nn.Module:
    """Innermost module around the blocks that is called with token ids: the model without its head."""
    parts = layout.blocks[0].path.split(".")
    around = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
    called = [module for module in around if "input_ids" in signature(module.forward).parameters]
    return called[-1] if called else model


def in_first_pass(body: nn.Module) -> bool:
    """Return True while an untouched pass of a model's body is running."""
    return body in _in_first_pass


@contextmanager
def first_pass(
    model: nn.Module, layout: NeuronLayout, read: Visitor, forget: Callable[[], None]
) -> Iterator[None]:
    """Run every forward pass of a model twice while the context is open: first to read, then as it is.

    The first pass has the same inputs. In generation it keeps a cache of its own for each cache of the
    model, so that it continues untouched where the second one continues changed. It computes no gradient.
    Edits that read in a first pass must change nothing while ``in_first_pass`` is true.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Blocks to read.
    read : callable
        Called with each block's activations in the first pass; its result is ignored.
    forget : callable
        Called before every first pass, and after every second one.

    Raises
    ------
    ModelError
        In a forward pass with a cache that was filled before the context was opened, or whose rows or tokens
        were changed since, as beam search does.
    """
    body = body_of(model, layout)
    caches = _ShadowCaches()

    def look(block: Any, activations: Tensor) -> None:
        read(block, activations)

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module in _in_first_pass:
            return
        forget()
        own = caches.inputs(args, kwargs)
        _in_first_pass.add(module)
        try:
            with visited(model, layout, look), torch.no_grad():
                caches.written = module(*args, **own)
        finally:
            _in_first_pass.discard(module)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if module not in _in_first_pass:
            caches.pair(output)
            forget()

    with ExitStack() as hooks:
        # first of all hooks: those of other edits then see two passes, one after the other
        handle = body.register_forward_pre_hook(before, with_kwargs=True, prepend=True)
        hooks.callback(handle.remove)
        # always called: what was read must not outlive a pass that failed
        hooks.callback(body.register_forward_hook(after, with_kwargs=True, always_call=True).remove)
        yield


class _ShadowCaches:
    """For each cache of the running model one of its untouched pass."""

    def __init__(self) -> None:
        self.of: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self.written: Any = None

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the first pass, with the cache that belongs to it."""
        given = kwargs.get("past_key_values")
        if given is None:
            # the model makes its own cache, if any; the two are paired when both exist
            if any(hasattr(each, "get_seq_length") for each in args):
                raise ModelError("subtract needs past_key_values by name: model(…, past_key_values=cache)")
            return kwargs
        if not hasattr(given, "get_seq_length"):
            raise ModelError(
                f"the cache is a {type(given).__name__}, subtract needs a Cache of transformers; "
                "generate without a cache: use_cache=False"
            )
        if given not in self.of:
            if given.get_seq_length() > 0:
                raise ModelError(
                    f"the cache holds {given.get_seq_length()} tokens that were computed before the "
                    "intervention: start with an empty one"
                )
            self.of[given] = copy.deepcopy(given)
        shadow = self.of[given]
        _require_same_tokens(given, shadow)
        return {**kwargs, "past_key_values": shadow}

    def pair(self, output: Any) -> None:
        """Pair the caches that both passes have made themselves."""
        made, own = (getattr(each, "past_key_values", None) for each in (output, self.written))
        if hasattr(made, "get_seq_length") and made not in self.of and own is not made:
            self.of[made] = own
        self.written = None


def _require_same_tokens(cache: Any, shadow: Any) -> None:
    """Check that the two caches hold the same tokens in the same rows.

    Attention in the first block comes before every edit, so that its states are those of the tokens alone.
    """
    if cache.get_seq_length() == shadow.get_seq_length() == 0:
        return
    pairs = list(zip(_first_states(cache), _first_states(shadow), strict=False))
    same = cache.get_seq_length() == shadow.get_seq_length() and pairs
    if not same or not all(_alike(*pair) for pair in pairs):
        raise ModelError(
            "rows or tokens of the cache were changed between two steps, as by beam search or assisted "
            "generation: subtract follows greedy generation and sampling only; take num_beams=1"
        )


def _first_states(cache: Any) -> list[Tensor]:
    cache = getattr(cache, "self_attention_cache", cache)
    states = [getattr(cache.layers[0], name, None) for name in STATES]
    return [state for state in states if isinstance(state, Tensor)]


def _alike(state: Tensor, other: Tensor) -> bool:
    if state.shape != other.shape:
        return False
    return bool((state - other.to(state.device)).abs().max() <= TOLERANCE * state.abs().max())
