"""The tokens of a text at which an edit changes activations."""

import torch
from torch import Tensor

from fbn_exp.interventions.config import Place
from fbn_exp.models.positions import Tokens, require_tokens


def changed_at(place: Place, changed: Tensor, own: Tensor, tokens: Tokens | None) -> Tensor:
    """Take changed activations at the tokens of a place, and a model's own at all others.

    Parameters
    ----------
    place : Place
        Tokens that are changed.
    changed, own : Tensor of shape (…, width)
        Activations with the change, and without it.
    tokens : Tokens or None
        Tokens of the activations; may be None where all are changed.

    Raises
    ------
    LayoutError
        If tokens are needed and not given.
    """
    if place is Place.all:
        return changed
    first = require_tokens(tokens).first.to(own.device)
    chosen = first if place is Place.first_only else ~first
    return torch.where(chosen[..., None], changed, own)
