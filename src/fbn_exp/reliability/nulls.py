"""Signals without networks, and the p values that they give."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.moments import CHUNK_VALUES
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Decomposition, SubspaceDecomposition
from fbn_exp.reliability.clusters import cluster
from fbn_exp.reliability.config import Surrogate
from fbn_exp.reliability.runs import AnyFits, SubspaceFits, WholeFits

DESCRIPTIONS = {
    Surrogate.phase: "phase-randomised signals",
    Surrogate.shift: "neurons shifted against each other",
    Surrogate.none: "no null",
}


def fits_of(method: Decomposition, signals: Tensor, rows: Rows, generator: torch.Generator) -> AnyFits:
    """Fits of a method to signals, inside their principal subspace where the method allows it."""
    if isinstance(method, SubspaceDecomposition):
        return SubspaceFits(method, method.subspace(signals, generator), rows)
    return WholeFits(method, signals, rows)


def null_reproducibility(
    kind: Surrogate,
    n_surrogates: int,
    fits: AnyFits,
    signals: Tensor,
    resampled: Sequence[bool],
    generator: torch.Generator,
) -> Tensor:
    """Reproducibility of the networks of surrogates, found as those of the signals are.

    RAICAR-N (Pendse, Borsook & Becerra 2011) pools the null networks of all surrogates, as here.

    Parameters
    ----------
    kind : Surrogate
        ``phase`` randomises the phases of the signals over tokens, alike in all neurons: covariance and
        lagged covariance of the neurons stay, everything beyond (what ICA looks for) is Gaussian. A
        small p says: more than the covariance of the neurons. A method that uses nothing else, such as
        pca, has no small p here. ``shift`` moves every neuron's time course by its own random lag, around
        the end: each neuron keeps its values and its course, the neurons are no longer related. A small
        p says: more than single neurons by themselves.
    n_surrogates : int
        Number of null data sets.
    fits : Fits
        Of the signals.
    signals : Tensor of shape (T, N), float32
        Shifted in place and back, bit for bit; only then touched.
    resampled : sequence of bool
        Runs, as for the signals.
    generator : Generator
        Source of surrogates, starts and resampled texts.

    Returns
    -------
    Tensor of shape (n_surrogates · K,), float64
    """
    found = []
    for _ in tqdm(range(n_surrogates), desc="Null", unit=" surrogate", leave=False):
        with surrogate(kind, fits, signals, generator) as null:
            found.append(cluster(null.runs(resampled, generator, "Null runs")).reproducibility)
    return torch.cat(found)


@contextmanager
def surrogate(
    kind: Surrogate, fits: AnyFits, signals: Tensor, generator: torch.Generator
) -> Iterator[AnyFits]:
    """Fits to one surrogate of the signals."""
    method, rows = fits.method, fits.rows
    if kind is Surrogate.shift:
        with shifted(signals, generator):
            yield fits_of(method, signals, rows, generator)
    elif isinstance(fits, SubspaceFits):
        # one linear map over tokens, orthogonal, mean kept: it commutes with the projection
        turn = phase_randomiser(len(signals), generator)
        yield fits.with_scores(turn(fits.subspace.scores))
    else:
        turn = phase_randomiser(len(signals), generator)
        drawn = torch.empty_like(signals)
        for columns in column_chunks(signals):
            drawn[:, columns] = turn(signals[:, columns])
        yield WholeFits(method, drawn, rows)


def phase_randomiser(n_tokens: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Random rotation of the phases of time courses (T, n), the same in every column.

    Prichard & Theiler 1994: cross-correlations at all lags (around the end) are kept, since phases of
    all columns turn by the same random angle.
    """
    n_frequencies = n_tokens // 2 + 1
    angle = 2 * math.pi * torch.rand(n_frequencies, generator=generator, dtype=torch.float64)
    factor = torch.polar(torch.ones_like(angle), angle)
    # the mean, and the highest frequency of an even number of tokens, are real
    factor[0] = 1
    if n_tokens % 2 == 0:
        factor[-1] = 1 if angle[-1] < math.pi else -1

    def turn(courses: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(courses.double(), dim=0) * factor.to(courses.device)[:, None]
        return torch.fft.irfft(spectrum, n=n_tokens, dim=0)

    return turn


@contextmanager
def shifted(signals: Tensor, generator: torch.Generator) -> Iterator[None]:
    """Every column of signals (T, N) rolled by its own random lag, in place, and back at the end."""
    lags = torch.randint(len(signals), (signals.shape[1],), generator=generator)
    _roll(signals, lags)
    try:
        yield
    finally:
        _roll(signals, -lags)


def _roll(signals: Tensor, lags: Tensor) -> None:
    tokens, lags = torch.arange(len(signals), device=signals.device)[:, None], lags.to(signals.device)
    for columns in column_chunks(signals):
        signals[:, columns] = signals[:, columns].gather(0, (tokens - lags[columns]) % len(signals))


def column_chunks(signals: Tensor) -> Iterator[slice]:
    """Slices of columns, so that no temporary is as large as the signals."""
    width = max(1, CHUNK_VALUES // len(signals))
    for start in range(0, signals.shape[1], width):
        yield slice(start, start + width)


def p_values(observed: Tensor, null: Tensor) -> Tensor:
    """(1 + number of null values at least as large) / (1 + number of null values), of shape of observed.

    Never 0: with the observed value among them, the null is a permutation distribution (Phipson & Smyth
    2010).
    """
    at_least = (null[None, :] >= observed[:, None]).sum(dim=1)
    return (1 + at_least).double() / (1 + len(null))
