"""Leaving a local optimum of ICA by turning its pairs of sources."""

import numpy as np
import pytest
import torch

from fbn_exp.methods.config import Contrast, ICAConfig
from fbn_exp.methods.solvers import starts as module
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.solvers.fastica import Solution, symmetric_decorrelation
from fbn_exp.methods.solvers.picard import picard
from fbn_exp.methods.solvers.starts import same_sources, search
from fbn_exp.methods.solvers.turned import neighbours, turned_pairs


def whitened(k=8, n_samples=1500, n_sources=3, seed=0):
    """A few sources among Gaussian noise: many local optima."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(k, n_samples))
    values[:n_sources] = rng.laplace(size=(n_sources, n_samples))
    samples = torch.from_numpy(values - values.mean(axis=1, keepdims=True))
    scale, vectors = torch.linalg.eigh(samples @ samples.T / n_samples)
    return (vectors / scale.sqrt()) @ vectors.T @ samples


def rotation(k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return symmetric_decorrelation(torch.randn(k, k, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("k", [2, 5])
def test_every_pair_is_mixed_in_equal_parts(k):
    weights = rotation(k)
    turned = turned_pairs(weights)
    assert turned.shape == (k * (k - 1) // 2, k, k)
    assert torch.allclose(turned @ turned.mT, torch.eye(k, dtype=torch.float64).expand_as(turned))
    cosines = (turned @ weights.T).abs()
    half = torch.isclose(cosines, torch.tensor(0.5, dtype=torch.float64).sqrt())
    pairs = {tuple(row.any(dim=1).nonzero()[:, 0].tolist()) for row in half}
    assert pairs == {(i, j) for i in range(k) for j in range(i + 1, k)}
    assert (half.sum(dim=(1, 2)) == 4).all()
    assert (torch.isclose(cosines, torch.ones_like(cosines)).sum(dim=(1, 2)) == k - 2).all()


def test_neighbours_are_other_optima():
    samples = whitened()
    start = picard(samples, rotation(8)[None], Contrast.logcosh, 1e-7, 400)
    beside = neighbours(samples, start.weights[0], Contrast.logcosh, 1e-7, 400)
    assert beside.converged.any()
    assert not any(same_sources(each, start.weights[0]) for each in beside.weights)


def test_the_only_optimum_has_no_neighbours():
    samples = whitened(k=4, n_samples=5000, n_sources=4)
    optimum = picard(samples, torch.eye(4, dtype=torch.float64)[None], Contrast.logcosh, 1e-7, 400)
    assert neighbours(samples, optimum.weights[0], Contrast.logcosh, 1e-7, 400) is None
    assert neighbours(samples[:1], torch.ones(1, 1).double(), Contrast.logcosh, 1e-7, 400) is None


def total(samples, weights):
    return float(negentropy(weights @ samples, Contrast.logcosh).sum())


def test_a_search_never_ends_below_its_random_starts_and_often_above(monkeypatch):
    samples, config = whitened(k=12, seed=1), ICAConfig(max_starts=2)
    above = 0
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        found = search(samples, config, Contrast.logcosh, generator)
        with monkeypatch.context() as without:
            without.setattr(module, "neighbours", lambda *_: None)
            alone = search(samples, config, Contrast.logcosh, generator.manual_seed(seed))
        assert found.n_random == alone.n_random == 2
        assert found.best.score >= alone.best.score * (1 - 1e-9)
        assert found.best.score == pytest.approx(total(samples, found.best.weights))
        if found.best.score > alone.best.score * 1.001:
            above += 1
            assert found.random_at_best == 0
            assert len(found.solution.converged) > 2
    # two random starts are rarely enough; which ones are depends on the rounding of the machine
    assert above > 0


def test_fastica_and_single_starts_stay_as_they_are(monkeypatch):
    def fail(*_):
        raise AssertionError("no neighbours are asked for")

    monkeypatch.setattr(module, "neighbours", fail)
    generator = torch.Generator().manual_seed(0)
    for config in (ICAConfig(solver="fastica", max_starts=2), ICAConfig(max_starts=1)):
        search(whitened(), config, Contrast.logcosh, generator)
    # canICA compares its starts by another score, which a turned pair does not improve
    search(whitened(), ICAConfig(max_starts=2), Contrast.logcosh, generator, score=lambda weights: 0.0)


def test_a_neighbour_that_diverged_is_not_kept(monkeypatch):
    broken = Solution(
        torch.full((1, 8, 8), float("nan"), dtype=torch.float64),
        torch.tensor([3]),
        torch.tensor([float("inf")], dtype=torch.float64),
        torch.tensor([False]),
    )
    monkeypatch.setattr(module, "neighbours", lambda *_: broken)
    generator = torch.Generator().manual_seed(0)
    found = search(whitened(), ICAConfig(max_starts=2), Contrast.logcosh, generator)
    assert len(found.solution.converged) == 2
