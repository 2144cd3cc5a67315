"""Null distribution of reproducibility, from surrogate signals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Decomposition, SubspaceDecomposition
from fbn_exp.networks.surrogates import column_chunks, phase_randomiser, random_lags, shifted
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
    """Reproducibility of the networks of surrogate signals, extracted as those of the signals are.

    RAICAR-N (Pendse, Borsook & Becerra 2011) pools the null networks of all surrogates, as here.

    Parameters
    ----------
    kind : Surrogate
        ``phase`` randomises the phases of the signals over tokens, alike in all neurons: covariance and
        lagged covariance of the neurons are kept, all higher-order structure (which ICA looks for) becomes
        Gaussian. A small p means structure beyond the covariance of the neurons; a method that uses only
        covariance, such as pca, does not reach a small p here. ``shift`` shifts every neuron's time course
        circularly by its own random lag: each neuron keeps its values and its course, the neurons are no
        longer related. A small p means structure beyond that of single neurons.
    n_surrogates : int
        Number of null data sets.
    fits : Fits
        Fits to the signals.
    signals : Tensor of shape (T, N), float32
        Shifted in place by ``shift`` and restored, bit for bit; otherwise not changed.
    resampled : sequence of bool
        Flag per run, the same as for the signals.
    generator : Generator
        Source of surrogates, starts and resampled texts.

    Returns
    -------
    Tensor of shape (n_surrogates · K,), float64
    """
    reproducibilities = []
    for _ in tqdm(range(n_surrogates), desc="Null", unit=" surrogate", leave=False):
        with surrogate(kind, fits, signals, generator) as null:
            reproducibilities.append(cluster(null.runs(resampled, generator, "Null runs")).reproducibility)
    return torch.cat(reproducibilities)


@contextmanager
def surrogate(
    kind: Surrogate, fits: AnyFits, signals: Tensor, generator: torch.Generator
) -> Iterator[AnyFits]:
    """Draw a surrogate of the signals and yield fits to it."""
    method, rows = fits.method, fits.rows
    if kind is Surrogate.shift:
        with shifted(signals, random_lags(signals, generator)):
            yield fits_of(method, signals, rows, generator)
    elif isinstance(fits, SubspaceFits):
        # an orthogonal linear map over tokens that keeps the mean: it commutes with the projection
        turn = phase_randomiser(len(signals), generator)
        yield fits.with_scores(turn(fits.subspace.scores))
    else:
        turn = phase_randomiser(len(signals), generator)
        drawn = torch.empty_like(signals)
        for columns in column_chunks(signals):
            drawn[:, columns] = turn(signals[:, columns])
        yield WholeFits(method, drawn, rows)
