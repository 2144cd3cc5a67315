"""Statistics of neurons that a test states."""

import torch

from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken


def stated(mean, magnitude=None, n_tokens=9):
    """Statistics of neurons with this mean, and this mean magnitude (that of the mean by default)."""
    mean = torch.as_tensor(mean).double()
    magnitude = mean.abs() if magnitude is None else torch.as_tensor(magnitude).double()
    spread = (magnitude.square() - mean.square()).clamp_min(0).sqrt()
    return NeuronStatistics(mean, spread, magnitude, n_tokens=n_tokens)


def same_everywhere(mean, magnitude=None):
    """The same at first tokens as at the others."""
    return StatisticsByToken(stated(mean, magnitude, 1), stated(mean, magnitude, 9))
