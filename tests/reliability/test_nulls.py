import numpy as np
import pytest
import torch
from planted import plant
from scipy.stats import kstest

from fbn_exp.core.rows import Rows
from fbn_exp.methods.config import Solver
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.reliability.base import SurrogateNull
from fbn_exp.reliability.clusters import cluster
from fbn_exp.reliability.config import Cluster, Surrogate
from fbn_exp.reliability.nulls import DESCRIPTIONS, KINDS, surrogate, surrogate_null
from fbn_exp.reliability.runs import WholeFits, fits_of

TEXTS = Rows((50,) * 10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_phase_randomised_subspaces_are_those_of_phase_randomised_signals():
    signals, _ = plant(500, 80, 3, noise=0.0)
    inside = fits_of(PCA(3), signals, TEXTS, generator())
    whole = WholeFits(PCA(3), signals, TEXTS)
    drawn = (1, 1, 4, 7)
    with (
        surrogate(Surrogate.phase, inside, generator(5)) as cheap,
        surrogate(Surrogate.phase, whole, generator(5)) as dear,
    ):
        anew = fits_of(PCA(3), dear.signals, TEXTS, generator())
        for texts in (None, drawn):
            space, other = cheap.space(texts), anew.space(texts)
            torch.testing.assert_close(
                space.projected @ space.loadings.double(),
                other.projected @ other.loadings.double(),
                atol=1e-3,
                rtol=0,
            )
        assert (dear.signals - signals).abs().max() > 1


def test_signals_are_whole_again_after_a_shift():
    signals, _ = plant(500, 80, 3, noise=0.1)
    before = signals.clone()
    with surrogate(Surrogate.shift, fits_of(PCA(3), signals, TEXTS, generator()), generator(1)):
        assert (signals - before).abs().max() > 1
        # tokens stay in their texts
        torch.testing.assert_close(signals[:50].sort(dim=0).values, before[:50].sort(dim=0).values)
    assert torch.equal(signals, before)


def test_a_surrogate_counts_once_by_its_largest_network():
    null = SurrogateNull("phase", "", torch.tensor([[0.1, 0.9], [0.2, 0.3], [0.5, 0.4]], dtype=torch.float64))
    assert null.largest.tolist() == [0.9, 0.3, 0.5]
    assert null.p_values(torch.tensor([0.95, 0.45, 0.25]).double()).tolist() == [1 / 4, 3 / 4, 1.0]


@pytest.mark.parametrize("kind", [Surrogate.phase, Surrogate.shift])
def test_p_of_noise_is_uniform_or_larger(kind):
    smallest = []
    for seed in range(10):
        noise = torch.randn(200, 30, generator=generator(seed))
        fits = fits_of(
            ICA(3, solver=Solver.fastica, max_iterations=10), noise, Rows((20,) * 10), generator(seed)
        )
        draws = fits.draws((False, True) * 2, generator(seed))
        by = Cluster.sources
        observed = cluster(fits.runs(draws, generator(seed + 100), ""), by).reproducibility
        null = surrogate_null(kind, 19, fits, draws, by, generator(seed + 200))
        smallest.append(float(null.p_values(observed).min()))
    assert np.mean(np.array(smallest) <= 0.05) <= 0.2
    # p below chance, of the best of the networks: the others are larger still
    assert kstest(smallest, "uniform", alternative="greater").pvalue > 0.05


@pytest.mark.slow
def test_few_runs_of_both_kinds_lower_the_mean_of_networks_of_noise_and_not_the_largest():
    few, many = [], []
    for seed in range(60):
        noise = torch.randn(400, 40, generator=generator(seed))
        fits = fits_of(ICA(4, max_iterations=100), noise, Rows((40,) * 10), generator(seed))
        for pairs, found in ((2, few), (10, many)):
            draws = fits.draws((False, True) * pairs, generator(seed + 1))
            runs = fits.runs(draws, generator(seed + 2), "")
            found.append(cluster(runs, Cluster.sources).reproducibility)
    few, many = torch.stack(few), torch.stack(many)
    assert few.mean() < many.mean() - 0.03
    assert few.amax(dim=1).mean() == pytest.approx(float(many.amax(dim=1).mean()), abs=0.04)


def test_every_null_has_words():
    assert KINDS.keys() == set(Surrogate)
    assert DESCRIPTIONS.keys() == set(KINDS[Surrogate.both])
