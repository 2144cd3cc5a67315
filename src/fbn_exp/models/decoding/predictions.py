"""Predictions of the next token at chosen places, computed in slices of the last hidden states.

Logits of a whole batch may be a hundred times as large as its hidden states, and most of them are read once.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fbn_exp.models.hooks import is_edited

# logits that the head computes at once: as many as a product with its weights needs to be fast
HEAD_VALUES = 2**25
# logits whose losses are computed at once on a processor: they fit its cache
LOSS_VALUES = 2**20
# roundings of the largest logit by which two products over different numbers of rows may differ
ROUNDINGS = 64

_separable: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether a model's head was seen to work apart from its body."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a forward pass, whose logits are computed when they are asked for.

    Attributes
    ----------
    model : nn.Module
        The model.
    states : Tensor of shape (B, L, H) or (B, L, V)
        Last hidden states; logits of a model whose head does not work apart.
    body_output : object
        What the body returned, None if ``states`` are logits.
    """

    model: nn.Module
    states: Tensor
    body_output: Any = None

    def logits(self, rows: Any, columns: Any) -> Tensor:
        """Logits at pairs of row and column, shape (places, V)."""
        chosen = self.states[rows, columns]
        return chosen if self.body_output is None else _head(self.model, self.body_output, chosen)

    def divided(self, parts: int) -> "list[Predictions]":
        """Predictions of each of several equal parts of the rows."""
        return [replace(self, states=states) for states in self.states.chunk(parts)]

    def slices(self, n_places: int, values: int = HEAD_VALUES) -> Iterator[slice]:
        """Slices of places whose logits may be in memory together, so many of them."""
        width = self.states.shape[-1]
        if self.body_output is not None:
            width = _vocabulary(self.model)
        return _steps(n_places, values, width)


def predictions(model: nn.Module, **inputs: Any) -> Predictions:
    """Run a model, its head at a single place of each row; interventions on it stay active.

    The head is run later, by the model's own code on given hidden states: scaled and capped logits are those
    of the model. A model for which that does not work, or was not tried yet, makes all logits.

    Parameters
    ----------
    model : PreTrainedModel
        A language model.
    **inputs
        Arguments of its forward pass.
    """
    if not head_works_apart(model):
        return Predictions(model, model(**inputs).logits)
    return _body(model, inputs)


def nats_per_row(model: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """Negative log-likelihood of the tokens of each row after the first, without padding.

    Parameters
    ----------
    model : PreTrainedModel
        A language model; interventions on it stay active.
    ids, mask : Tensor of shape (B, L)
        Token ids, and 1 where there is a token; padding is on the right.

    Returns
    -------
    Tensor of shape (B,), float64
        Nats, summed over the tokens of each row.
    """
    found = predictions(model, input_ids=ids, attention_mask=mask, use_cache=False)
    device = found.states.device
    rows, columns = mask[:, 1:].to(device).nonzero(as_tuple=True)
    targets = ids.to(device)[rows, columns + 1]
    nats = torch.zeros(len(ids), dtype=torch.float64, device=device)
    for places in found.slices(len(rows)):
        losses = token_nats(found.logits(rows[places], columns[places]), targets[places])
        nats.index_add_(0, rows[places], losses.double())
    return nats


def token_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each token, float32 of shape (T,), from logits (T, V) of any format."""
    size = LOSS_VALUES if logits.device.type == "cpu" else HEAD_VALUES
    losses = [logits.new_zeros(0, dtype=torch.float32)]
    for some in _steps(len(logits), size, logits.shape[1]):
        losses.append(
            torch.nn.functional.cross_entropy(logits[some].float(), targets[some], reduction="none")
        )
    return torch.cat(losses)


def _body(model: nn.Module, inputs: dict[str, Any]) -> Predictions:
    """Run the model once, and keep what its body returns; the head sees the first token of each row."""
    kept: list[Any] = []

    def shorten(head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args[0][:, :1], *args[1:]

    whole: Any = model
    with ExitStack() as hooks:
        body = whole.base_model
        hooks.callback(body.register_forward_hook(lambda *call: kept.append(call[-1])).remove)
        hooks.callback(whole.get_output_embeddings().register_forward_pre_hook(shorten).remove)
        model(**inputs)
    return Predictions(model, kept[-1].last_hidden_state, kept[-1])


def _head(model: nn.Module, body_output: Any, hidden: Tensor) -> Tensor:
    """Logits (places, V) that the model's own code makes of hidden states (places, H)."""
    placeholder = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
    with _returning(model, type(body_output)(last_hidden_state=hidden[None])):
        # not by a call of the model: hooks on it have seen this pass already
        logits: Tensor = model.forward(input_ids=placeholder, use_cache=False).logits[0]
    return logits


class _Given(nn.Module):
    """Module that returns a given output, whatever it is called with."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.output


@contextmanager
def _returning(model: nn.Module, output: Any) -> Iterator[None]:
    """Put a module that returns an output in the place of the model's body, with its hooks out of the way."""
    name = str(model.base_model_prefix)
    body = model._modules[name]
    model._modules[name] = _Given(output)
    try:
        yield
    finally:
        model._modules[name] = body


def head_works_apart(model: nn.Module) -> bool:
    """Whether logits can be made of given hidden states; tried once, while no intervention is active."""
    if model not in _separable and is_edited(model):
        return False
    if model not in _separable:
        _separable[model] = _tried(model)
    return _separable[model]


def _tried(model: nn.Module) -> bool:
    """Compare the head apart with the model's own logits on a few tokens."""
    whole: Any = model
    try:
        device = whole.get_input_embeddings().weight.device
        ids = (torch.arange(8, device=device) % _vocabulary(model)).view(2, 4)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
        with torch.no_grad():
            own = model(**inputs).logits
            rows, columns = torch.ones_like(ids).nonzero(as_tuple=True)
            apart = _body(model, inputs).logits(rows, columns).view_as(own)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # the code of a model that works otherwise may raise anything
        return False
    rounding = torch.finfo(own.dtype).eps * ROUNDINGS * float(own.nan_to_num(posinf=0, neginf=0).abs().max())
    return torch.allclose(apart, own, rtol=0, atol=rounding, equal_nan=True)


def _vocabulary(model: nn.Module) -> int:
    whole: Any = model
    return int(whole.get_output_embeddings().weight.shape[0])


def _steps(length: int, values: int, width: int) -> Iterator[slice]:
    step = max(1, values // max(1, width))
    return (slice(start, start + step) for start in range(0, length, step))
