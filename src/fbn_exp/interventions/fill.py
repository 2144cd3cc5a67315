"""Fills: the value that edited neurons are moved to, by a factor, at some tokens."""

import torch
from torch import Tensor

from fbn_exp.core.errors import NetworksError
from fbn_exp.interventions.config import Fill, Place
from fbn_exp.interventions.edit import AffineEdit, Edit
from fbn_exp.interventions.resample import Donors, ResampleEdit
from fbn_exp.interventions.target import Target


def filled(factor: Tensor, fill: Fill, place: Place, target: Target) -> Edit:
    """Edit that moves every neuron x to factor · x + (1 − factor) · fill at the tokens of a place.

    Parameters
    ----------
    factor : Tensor of shape (N,), float32
        1 for neurons that stay as they are; 0 replaces them, anything else is a dose.
    fill : Fill
        Value that they are moved to.
    place : Place
        Tokens at which they are.
    target : Target
        Holds the statistics, or the donors, that the fill is made of.

    Raises
    ------
    NetworksError
        If the target lacks what the fill needs.
    """
    if fill is Fill.resample:
        return ResampleEdit(factor, _donors(target), place)
    first, others = _values(fill, target)
    rest = 1 - factor
    return at(place, AffineEdit(factor, rest * others, factor, rest * first))


def at(place: Place, edit: AffineEdit) -> AffineEdit:
    """Restrict an edit to the tokens of a place."""
    ones, zeros = torch.ones_like(edit.scale), torch.zeros_like(edit.shift)
    if place is Place.first_spared:
        return AffineEdit(edit.scale, edit.shift, ones, zeros)
    if place is Place.first_only:
        return AffineEdit(ones, zeros, *edit.at_first)
    return edit


def _values(fill: Fill, target: Target) -> tuple[Tensor, Tensor]:
    """Fill of every neuron at first tokens and at the others, float32 of shape (N,)."""
    if fill is Fill.position_mean:
        first, others = target.apart("fill=position_mean")
        return first.mean.float(), others.mean.float()
    mean = target.mean.float()
    value = mean if fill is Fill.mean else torch.zeros_like(mean)
    return value, value


def _donors(target: Target) -> Donors:
    if target.donors is None:
        raise NetworksError(
            "fill=resample takes values of neurons at tokens of other texts, and none were given: "
            "give donors, as evaluate.py does"
        )
    return target.donors
