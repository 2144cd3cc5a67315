"""Statistics of signals in one pass over chunks of rows, summed in float64."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fbn_exp.core.memmap import release

# a chunk of float32 fits the CPU's cache; sums within it are exact enough in float32
CHUNK_VALUES = 2**20
# on an accelerator few large chunks are faster than many small ones
ACCELERATOR_CHUNK_VALUES = 2**26
# a token is an outlier if its row's norm exceeds the median norm by this factor
OUTLIER_FACTOR = 10


@dataclass(frozen=True, eq=False)
class NeuronStatistics:
    """Moments and largest magnitude of every neuron over tokens, tensors of shape (N,), float64, on the CPU.

    ``largest`` is empty where it was not recorded.
    """

    mean: Tensor
    standard_deviation: Tensor
    mean_absolute: Tensor
    largest: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean of signals and energy around it, as centring needs them.

    Attributes
    ----------
    mean : Tensor of shape (N,), float64
        Mean of every neuron over tokens, on the CPU.
    energy : float
        Squared Frobenius norm of the centred values.
    """

    mean: Tensor
    energy: float


@dataclass(frozen=True)
class RowNorms:
    """Summary of the norms of signal rows, one row per token.

    Attributes
    ----------
    median, largest : float
        Median and maximum over tokens.
    outliers : int
        Number of tokens whose norm exceeds ``OUTLIER_FACTOR`` times the median.
    outlier_share : float
        Share of the energy (sum of squared norms) in these tokens.
    """

    median: float
    largest: float
    outliers: int
    outlier_share: float


def row_chunks(values: Tensor) -> Iterator[Tensor]:
    """Yield views of consecutive rows, so that no temporary is as large as the signals.

    If the values are mapped from a file, each view is released before the next: see ``core.memmap``.
    """
    chunk = CHUNK_VALUES if values.device.type == "cpu" else ACCELERATOR_CHUNK_VALUES
    rows = max(1, chunk // max(1, values.shape[1]))
    for view in values.split(rows):
        yield view
        release(view)


def neuron_statistics(values: Tensor) -> NeuronStatistics:
    """Mean, standard deviation, mean and largest absolute value of every column of (T, N) values.

    The first chunk's mean is subtracted before squaring, which keeps the precision for a neuron whose mean
    is far larger than its standard deviation.
    """
    n_tokens, n_neurons = values.shape
    shift = next(row_chunks(values)).mean(dim=0)
    sums = torch.zeros(4, n_neurons, dtype=torch.float64, device=values.device)
    total, squares, absolute, largest = sums
    for chunk in row_chunks(values):
        deviation = chunk - shift
        total += deviation.sum(dim=0)
        squares += deviation.square_().sum(dim=0)
        magnitude = chunk.abs()
        absolute += magnitude.sum(dim=0)
        torch.maximum(largest, magnitude.amax(dim=0).double(), out=largest)
    mean = total / n_tokens
    variance = (squares / n_tokens - mean.square()).clamp_min(0)
    columns = (mean + shift, variance.sqrt(), absolute / n_tokens, largest)
    return NeuronStatistics(*(column.cpu() for column in columns))


def moments(values: Tensor) -> Moments:
    """Mean of every column of (T, N) values and the energy around it; cheaper than ``neuron_statistics``."""
    n_tokens, n_neurons = values.shape
    shift = next(row_chunks(values)).mean(dim=0)
    total = torch.zeros(n_neurons, dtype=torch.float64, device=values.device)
    energy = torch.zeros((), dtype=torch.float64, device=values.device)
    for chunk in row_chunks(values):
        deviation = chunk - shift
        total += deviation.sum(dim=0)
        # torch sums pairwise, exact to 1e-7; a dot product of the chunk with itself is not
        energy += deviation.square_().sum()
    mean = total / n_tokens
    # clamped as a tensor, which keeps NaN
    centred = (energy - n_tokens * mean.square().sum()).clamp_min(0)
    return Moments((mean + shift).cpu(), float(centred))


def row_norms(values: Tensor) -> RowNorms:
    """Norms of the rows of (T, N) values."""
    # torch sums pairwise, exact to 1e-7 over a row; its vector_norm is not, and slow in float64
    energy = torch.cat([chunk.square().sum(dim=1) for chunk in row_chunks(values)]).double()
    norms = energy.sqrt()
    median = norms.median()
    outlying = norms > OUTLIER_FACTOR * median
    share = float(energy[outlying].sum() / energy.sum().clamp_min(1e-300))
    return RowNorms(float(median), float(norms.max()), int(outlying.sum()), share)
