"""Halves of the texts: agreement of rotated networks, and prediction of one half by the other."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fbn_exp.core.moments import row_chunks
from fbn_exp.core.rows import Array, Indices
from fbn_exp.networks.matching import matched, unit_rows


def rotated_agreement(
    maps: Tensor, others: Tensor, draws: int, rng: np.random.Generator, *, in_units: bool
) -> Array:
    """Matched |r| of random rotations of two sets of maps (K, N), shape (draws, K).

    Either way a rotation keeps that side white which the method makes independent, as in the split-half
    reliability. A rotation of white time courses rotates maps in units of the signal; so these draws are what
    ``method=random`` would find in the same two subspaces. If maps are independent, they are centred and
    scaled to norm 1 before they are turned.

    Parameters
    ----------
    maps, others : Tensor of shape (K, N)
        Maps of either half.
    draws : int
        Number of rotations of both.
    rng : Generator
        Source of the rotations.
    in_units : bool
        True for maps of independent time courses, False for independent maps.
    """
    size = len(maps)
    first, second = (
        each.double() - each.double().mean(dim=1, keepdim=True) if in_units else unit_rows(each.double())
        for each in (maps, others)
    )
    first, second = (each / each.norm().clamp_min(1e-300) for each in (first, second))
    across, own, theirs = (
        product.numpy() for product in (first @ second.T, first @ first.T, second @ second.T)
    )
    agreement = np.empty((draws, size))
    for draw in range(draws):
        left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(2))
        norms = [
            np.sqrt(np.einsum("ij,jk,ik->i", turn, gram, turn).clip(1e-300))
            for turn, gram in ((left, own), (right, theirs))
        ]
        agreement[draw] = matched(np.abs(left @ across @ right.T) / np.outer(*norms))
    return agreement


def prediction_error(maps: Tensor, mean: Tensor, signals: Tensor, neurons: Indices) -> float:
    """Squared error of signals that maps of other texts predict, as a share of the signals' variance.

    The first half of ``neurons`` gives the time courses, by least squares; they predict the second half, and
    the other way round (Owen & Perry 2009, section 2).

    Parameters
    ----------
    maps : Tensor of shape (K, N)
        Maps fitted to other texts.
    mean : Tensor of shape (N,)
        Mean over the tokens of the other texts.
    signals : Tensor of shape (T, N)
        Signals to predict.
    neurons : array of shape (N,)
        Neurons in random order.

    Returns
    -------
    float
        0 for a perfect prediction, 1 for one that is no better than the mean, more for a worse one.
    """
    parts = [torch.from_numpy(part).to(signals.device) for part in np.array_split(neurons, 2)]
    exact = maps.to(signals.device).double()
    missed = total = 0.0
    for given, hidden in (parts, parts[::-1]):
        known = exact[:, given]
        gram = torch.linalg.pinv(known @ known.T, hermitian=True, rtol=1e-10)
        # two thin matrices: their product has half of the neurons on both sides
        to_courses, to_neurons = (known.T @ gram).float(), exact[:, hidden].float()
        for chunk in _centred(signals, mean):
            truth = chunk[:, hidden]
            predicted = (chunk[:, given] @ to_courses) @ to_neurons
            missed += float((truth - predicted).double().square().sum())
            total += float(truth.double().square().sum())
    return missed / total


def _centred(signals: Tensor, mean: Tensor) -> Iterator[Tensor]:
    for chunk in row_chunks(signals):
        yield chunk - mean
