"""Standardisation of signals before decomposition."""

import torch
from torch import Tensor

from fbn_exp.core.moments import NeuronStatistics, row_chunks
from fbn_exp.signals.config import Standardise


def standardise(values: Tensor, how: Standardise, neurons: NeuronStatistics) -> None:
    """Standardise signals in place, chunk by chunk.

    Parameters
    ----------
    values : Tensor of shape (T, N), float32
        Raw signals; overwritten.
    how : Standardise
        ``none`` leaves the signals unchanged. ``zscore`` gives every neuron mean 0 and variance 1 over
        tokens, so that late blocks with large outputs do not dominate; a constant neuron becomes 0.
        ``row_l2`` gives every token norm 1, so that outlier tokens do not dominate.
    neurons : NeuronStatistics
        Moments of the raw signals.
    """
    if how is Standardise.none:
        return
    mean = neurons.mean.float().to(values.device)
    constant = silent(neurons.mean, neurons.standard_deviation)
    scale = (
        torch.where(constant, 0.0, 1 / neurons.standard_deviation.clamp_min(1e-30)).float().to(values.device)
    )
    for chunk in row_chunks(values):
        if how is Standardise.zscore:
            chunk.sub_(mean).mul_(scale)
        else:
            # summed in float64: over a wide row float32 has an error of 1e-4
            norm = torch.linalg.vector_norm(chunk, dim=1, keepdim=True, dtype=torch.float64)
            chunk.div_(norm.clamp_min(1e-30).float())


def silent(mean: Tensor, standard_deviation: Tensor) -> Tensor:
    """Neurons that count as constant: their standard deviation is rounding error of their mean."""
    return standard_deviation <= 1e-6 * mean.abs()
