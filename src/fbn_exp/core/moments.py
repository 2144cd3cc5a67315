"""Statistics of signals in one pass over chunks of rows, summed in float64."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

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

    ``largest`` is empty where it was not recorded, ``n_tokens`` is the number of tokens.
    """

    mean: Tensor
    standard_deviation: Tensor
    mean_absolute: Tensor
    largest: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    n_tokens: int = 0

    @property
    def mean_square(self) -> Tensor:
        """Energy per token: mean of the squares, shape (N,)."""
        return self.mean.square() + self.standard_deviation.square()


@dataclass(frozen=True, eq=False)
class StatisticsByToken:
    """Statistics of neurons at first tokens of texts, which can be attention sinks, and at the others.

    Attributes
    ----------
    first : NeuronStatistics or None
        At first tokens; None where they were not recorded apart.
    others : NeuronStatistics
        At the other tokens; at all tokens where first ones were not recorded apart.
    """

    first: NeuronStatistics | None
    others: NeuronStatistics

    @cached_property
    def all(self) -> NeuronStatistics:
        """Statistics over all tokens."""
        return self.others if self.first is None else _pooled(self.first, self.others)


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

    @classmethod
    def of(cls, energy: Tensor) -> "RowNorms":
        """Summary of rows of these squared norms, float64 of shape (T,)."""
        norms = energy.sqrt()
        median = norms.median()
        outlying = norms > OUTLIER_FACTOR * median
        share = float(energy[outlying].sum() / energy.sum().clamp_min(1e-300))
        return cls(float(median), float(norms.max()), int(outlying.sum()), share)


@dataclass(frozen=True, eq=False)
class SignalStatistics:
    """Statistics of neurons by token, and norms of rows."""

    by_token: StatisticsByToken
    norms: RowNorms


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
    sums, work = _Sums(values), _Workspace()
    for chunk in row_chunks(values):
        sums.add(chunk, work=work)
    return sums.statistics()


def signal_statistics(values: Tensor, first: Tensor) -> SignalStatistics:
    """Statistics of (T, N) values at first tokens and at the others, and norms of the rows, in one pass.

    Parameters
    ----------
    values : Tensor of shape (T, N)
        Signals; may be mapped from a file.
    first : Tensor of shape (T,), bool
        True at first tokens of texts, on the CPU.
    """
    at_first, at_others = _Sums(values), _Sums(values)
    work, energy = _Workspace(), []
    start = 0
    for chunk in row_chunks(values):
        apart = first[start : start + len(chunk)].nonzero()[:, 0].to(chunk.device)
        start += len(chunk)
        if len(apart):
            at_first.add(chunk.index_select(0, apart))
        at_others.add(chunk, apart, work)
        # torch sums pairwise, exact to 1e-7 over a row; its vector_norm is not, and slow in float64
        energy.append(torch.mul(chunk, chunk, out=work.like(chunk)).sum(dim=1))
    by_token = StatisticsByToken(at_first.statistics(), at_others.statistics())
    return SignalStatistics(by_token, RowNorms.of(torch.cat(energy).double()))


class _Workspace:
    """Memory for a chunk's intermediate values: fresh memory for each would take as long as the sums."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, 0)

    def like(self, rows: Tensor) -> Tensor:
        """Tensor of the shape of rows, with any values."""
        memory = self._memory
        if len(memory) < len(rows) or memory.dtype is not rows.dtype:
            self._memory = memory = torch.empty_like(rows, memory_format=torch.contiguous_format)
        return memory[: len(rows)]


class _Sums:
    """Sums of rows, in float64, less the mean of the first rows that are added."""

    def __init__(self, values: Tensor) -> None:
        self.n_tokens = 0
        self.shift = torch.zeros(values.shape[1], device=values.device)
        self.sums = torch.zeros(4, values.shape[1], dtype=torch.float64, device=values.device)

    def add(self, rows: Tensor, apart: Tensor | None = None, work: _Workspace | None = None) -> None:
        """Add rows, without those whose indices are in ``apart``."""
        n_apart = 0 if apart is None else len(apart)
        if len(rows) == n_apart:
            return
        if self.n_tokens == 0:
            self.shift = self._counted(rows.clone(), apart).sum(dim=0) / (len(rows) - n_apart)
        self.n_tokens += len(rows) - n_apart
        total, squares, absolute, largest = self.sums
        deviation = torch.sub(rows, self.shift, out=(work or _Workspace()).like(rows))
        total += self._counted(deviation, apart).sum(dim=0)
        squares += deviation.square_().sum(dim=0)
        magnitude = self._counted(torch.abs(rows, out=deviation), apart)
        absolute += magnitude.sum(dim=0)
        torch.maximum(largest, magnitude.amax(dim=0).double(), out=largest)

    @staticmethod
    def _counted(rows: Tensor, apart: Tensor | None) -> Tensor:
        """Set the rows that do not count to 0."""
        return rows if apart is None or not len(apart) else rows.index_fill_(0, apart, 0)

    def statistics(self) -> NeuronStatistics:
        total, squares, absolute, largest = self.sums
        n_tokens = max(1, self.n_tokens)
        mean = total / n_tokens
        variance = (squares / n_tokens - mean.square()).clamp_min(0)
        return NeuronStatistics(
            (mean + self.shift).cpu(),
            variance.sqrt().cpu(),
            (absolute / n_tokens).cpu(),
            largest.cpu(),
            self.n_tokens,
        )


def _pooled(one: NeuronStatistics, other: NeuronStatistics) -> NeuronStatistics:
    """Statistics of two disjoint sets of tokens together."""
    n_tokens = one.n_tokens + other.n_tokens
    share = one.n_tokens / max(1, n_tokens)
    between = share * (1 - share) * (one.mean - other.mean).square()
    within = share * one.standard_deviation.square() + (1 - share) * other.standard_deviation.square()
    largest = (
        torch.maximum(one.largest, other.largest)
        if one.largest.numel() and other.largest.numel()
        else torch.zeros(0, dtype=torch.float64)
    )
    return NeuronStatistics(
        share * one.mean + (1 - share) * other.mean,
        (within + between).sqrt(),
        share * one.mean_absolute + (1 - share) * other.mean_absolute,
        largest,
        n_tokens,
    )


def moments(values: Tensor) -> Moments:
    """Mean of every column of (T, N) values and the energy around it; cheaper than ``neuron_statistics``."""
    n_tokens, n_neurons = values.shape
    shift = next(row_chunks(values)).mean(dim=0)
    total = torch.zeros(n_neurons, dtype=torch.float64, device=values.device)
    energy = torch.zeros((), dtype=torch.float64, device=values.device)
    work = _Workspace()
    for chunk in row_chunks(values):
        deviation = torch.sub(chunk, shift, out=work.like(chunk))
        total += deviation.sum(dim=0)
        # torch sums pairwise, exact to 1e-7; a dot product of the chunk with itself is not
        energy += deviation.square_().sum()
    mean = total / n_tokens
    # clamped as a tensor, which keeps NaN
    centred = (energy - n_tokens * mean.square().sum()).clamp_min(0)
    return Moments((mean + shift).cpu(), float(centred))
