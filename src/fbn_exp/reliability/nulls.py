"""Null distributions of reproducibility, from surrogate signals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from tqdm import tqdm

from fbn_exp.networks.surrogates import (
    column_chunks,
    phase_randomiser,
    random_lags,
    shifted,
)
from fbn_exp.reliability.base import SurrogateNull
from fbn_exp.reliability.clusters import cluster
from fbn_exp.reliability.config import Cluster, Surrogate
from fbn_exp.reliability.runs import AnyFits, SubspaceFits, WholeFits, fits_of

# runs of each surrogate. Of runs of both kinds, on all and on drawn texts, the mean reproducibility is lower
# with few runs than with many; the largest network's, which p takes, is not in noise, as it varies more
SURROGATE_RUNS = 4

DESCRIPTIONS = {
    Surrogate.phase: "phases randomised inside texts: covariances kept, the rest Gaussian",
    Surrogate.shift: "neurons shifted inside texts: each neuron kept, covariances ended",
}
KINDS = {
    Surrogate.phase: (Surrogate.phase,),
    Surrogate.shift: (Surrogate.shift,),
    Surrogate.both: (Surrogate.phase, Surrogate.shift),
    Surrogate.none: (),
}


def surrogate_null(
    kind: Surrogate,
    n_surrogates: int,
    fits: AnyFits,
    draws: Sequence[tuple[int, ...] | None],
    by: Cluster,
    generator: torch.Generator,
) -> SurrogateNull:
    """Measure the reproducibility of the networks of surrogate signals, extracted in the same way.

    Networks of one surrogate are no independent draws, so each surrogate counts once, by its most
    reproducible network: p = (1 + b) / (1 + R), where b of R surrogates have any network that is at least as
    reproducible. This holds the probability of any false positive among the K networks at p. (RAICAR-N,
    Pendse, Borsook & Becerra 2011, pools the null networks of all surrogates.)

    Parameters
    ----------
    kind : Surrogate
        ``phase`` randomises the phases of the signals inside each text, alike in all neurons: means,
        covariances and lagged covariances of the neurons in every text are kept, all higher-order structure
        (which ICA looks for) becomes Gaussian. A small p means structure beyond the covariance of the
        neurons; a method that uses only covariance, such as pca, does not reach a small p here. ``shift``
        shifts every neuron's time course inside each text circularly by its own random lag: each neuron keeps
        its values in every text and its course, the neurons are no longer related but by the means of texts.
        A small p means structure beyond that of single neurons.
    n_surrogates : int
        Number R of null data sets.
    fits : Fits
        Fits to the signals, which ``shift`` shifts in place and restores, bit for bit.
    draws : sequence
        Texts of each run of the signals, of which every surrogate's runs take some at random: runs of both
        kinds, and no other texts, so that a difference between draws cannot pass for one from the null.
    by : Cluster
        Side of the estimates that is clustered.
    generator : Generator
        Source of surrogates and starts.
    """
    rows = []
    for _ in tqdm(range(n_surrogates), desc=f"Null ({kind})", unit=" surrogate", leave=False):
        with surrogate(kind, fits, generator) as null:
            runs = null.runs(_some(draws, generator), generator, "Null runs")
        rows.append(cluster(runs, by).reproducibility)
    return SurrogateNull(kind.value, DESCRIPTIONS[kind], torch.stack(rows))


def _some(
    draws: Sequence[tuple[int, ...] | None], generator: torch.Generator
) -> list[tuple[int, ...] | None]:
    """Random draws for the runs of a surrogate, of the kinds of the first runs."""
    shuffled = [draws[place] for place in torch.randperm(len(draws), generator=generator).tolist()]
    texts = iter([drawn for drawn in shuffled if drawn is not None])
    return [None if drawn is None else next(texts) for drawn in draws[:SURROGATE_RUNS]]


@contextmanager
def surrogate(kind: Surrogate, fits: AnyFits, generator: torch.Generator) -> Iterator[AnyFits]:
    """Draw a surrogate of the signals and yield fits to it."""
    method, signals, rows = fits.method, fits.signals, fits.rows
    if kind is Surrogate.shift:
        with shifted(signals, random_lags(signals, generator, rows), rows):
            yield fits_of(method, signals, rows, generator)
        return
    turn = phase_randomiser(rows, generator)
    if isinstance(fits, SubspaceFits):
        yield fits.turned(turn)
        return
    drawn = torch.empty_like(signals)
    for columns in column_chunks(signals):
        drawn[:, columns] = turn(signals[:, columns]).to(drawn.dtype)
    yield WholeFits(method, drawn, rows)
