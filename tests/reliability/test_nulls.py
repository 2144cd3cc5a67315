import torch
from planted import plant

from fbn_exp.core.rows import Rows
from fbn_exp.methods.pca import PCA
from fbn_exp.reliability.config import Surrogate
from fbn_exp.reliability.nulls import fits_of, surrogate
from fbn_exp.reliability.runs import WholeFits

TEXTS = Rows((50,) * 10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_phase_randomised_scores_are_those_of_phase_randomised_signals():
    signals, _ = plant(500, 80, 3, noise=0.0)
    inside = fits_of(PCA(3), signals, TEXTS, generator())
    whole = WholeFits(PCA(3), signals, TEXTS)
    with (
        surrogate(Surrogate.phase, inside, signals, generator(5)) as cheap,
        surrogate(Surrogate.phase, whole, signals, generator(5)) as dear,
    ):
        weighted = cheap.subspace.scores * cheap.subspace.singular_values
        rebuilt = weighted @ cheap.subspace.loadings.double()
        expected = (dear.signals - dear.signals.mean(dim=0)).double()
        torch.testing.assert_close(rebuilt, expected, atol=1e-3, rtol=0)
        assert (dear.signals - signals).abs().max() > 1
