"""Search over starts: optima recognised, counted, and chosen whatever the rounding."""

import numpy as np
import pytest
import torch

from fbn_exp.core.errors import MethodError
from fbn_exp.methods.config import Contrast, ICAConfig, Solver
from fbn_exp.methods.solvers import starts as module
from fbn_exp.methods.solvers.fastica import Solution, symmetric_decorrelation
from fbn_exp.methods.solvers.starts import same_sources, search


def laplace(k, n_samples=5000, seed=0):
    sources = torch.from_numpy(np.random.default_rng(seed).laplace(size=(k, n_samples)))
    sources -= sources.mean(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(sources @ sources.T / n_samples)
    return (vectors / values.sqrt()) @ vectors.T @ sources


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rotation(k, seed):
    return symmetric_decorrelation(torch.randn(k, k, generator=generator(seed), dtype=torch.float64))


def turned(weights, angle):
    """Turn the first two sources of weights (K, K)."""
    turn = torch.eye(len(weights), dtype=torch.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    turn[:2, :2] = torch.tensor([[cos, -sin], [sin, cos]])
    return turn @ weights


@pytest.fixture
def planned(monkeypatch):
    """Make the solver return planned weights, and scores and tie-breaks of each start."""

    def plan(weights, converged, scores, second=None):
        remaining = list(range(len(weights)))

        def solve(whitened, start, config, contrast):
            index = [remaining.pop(0) for _ in start]
            flags = torch.tensor([converged[place] for place in index])
            return Solution(
                torch.stack([weights[place] for place in index]),
                torch.full((len(index),), 7),
                torch.where(flags, 1e-9, 1e-2).double(),
                flags,
            )

        def total(whitened, contrast):
            values = scores if contrast is Contrast.logcosh else (second or scores)
            table = {each.double().numpy().tobytes(): v for each, v in zip(weights, values, strict=True)}
            return lambda found: table[found.numpy().tobytes()]

        monkeypatch.setattr(module, "solve", solve)
        monkeypatch.setattr(module, "_total", total)
        monkeypatch.setattr(module, "neighbours", lambda *_: None)

    return plan


def test_sources_in_another_order_and_sign_are_the_same():
    weights = rotation(5, 0)
    shuffled = weights[torch.tensor([3, 0, 4, 1, 2])] * torch.tensor([1, -1, -1, 1, -1])[:, None]
    assert same_sources(weights, shuffled)
    assert same_sources(weights, turned(shuffled, 0.04))
    assert not same_sources(weights, turned(shuffled, 0.05))
    assert not same_sources(weights, rotation(5, 1))


def test_starts_are_grouped_by_optimum_and_sorted_by_score(planned):
    one, other = rotation(4, 0), rotation(4, 1)
    weights = [one, other.flip(0), other, one.flip(0), -one, rotation(4, 2)]
    planned(weights, [True] * 5 + [False], [0.5, 0.6, 0.6, 0.5, 0.5, 0.9])
    found = search(laplace(4), ICAConfig(max_starts=6), Contrast.logcosh, generator())
    assert [each.starts for each in found.optima] == [(1, 2), (0, 3, 4), (5,)]
    assert found.best.converged
    assert found.gap == pytest.approx(0.1 / 0.6)
    assert not found.tied
    assert found.good == []
    assert found.statistics()["other_optima"].tolist() == [0, 0, 0, 0]


def test_a_source_is_counted_in_the_good_optima_that_hold_it(planned):
    one = rotation(4, 0)
    weights = [one, turned(one, 0.5), turned(one, 0.8), turned(one, 0.2), turned(one, 0.6)]
    planned(weights, [True] * 5, [0.5, 0.4999, 0.497, 0.496, 0.4])
    found = search(laplace(4), ICAConfig(max_starts=5), Contrast.logcosh, generator())
    assert len(found.good) == 3
    # turned by 0.2, a source still correlates with .98
    assert found.statistics()["other_optima"].tolist() == [1, 1, 3, 3]


def test_if_no_start_converges_the_best_is_kept_and_says_so(planned):
    planned([rotation(4, 0), rotation(4, 1)], [False, False], [0.4, 0.6])
    found = search(laplace(4), ICAConfig(max_starts=2), Contrast.logcosh, generator())
    assert (found.best.starts, found.best.converged, found.gap) == ((1,), False, None)


@pytest.mark.parametrize("rounding", [1e-9, -1e-9])
def test_of_optima_within_rounding_the_choice_does_not_depend_on_rounding(planned, rounding):
    one, other = rotation(4, 0), rotation(4, 1)
    planned([one, other, -one], [True] * 3, [0.5, 0.5 + rounding, 0.5], second=[3.0, 2.0, 3.0])
    found = search(laplace(4), ICAConfig(max_starts=3), Contrast.logcosh, generator())
    assert found.best.weights is not other
    assert sorted(found.best.starts) == [0, 2]
    assert found.tied


def test_a_start_that_is_not_finite_comes_last(planned):
    broken = torch.full((4, 4), float("nan"), dtype=torch.float64)
    planned([broken, rotation(4, 0)], [False, False], [0.0, 0.5])
    found = search(laplace(4), ICAConfig(max_starts=2), Contrast.logcosh, generator())
    assert found.best.starts == (1,)


def test_if_no_start_is_finite_there_is_no_answer(planned):
    broken = torch.full((4, 4), float("nan"), dtype=torch.float64)
    planned([broken, broken], [False, False], [0.0, 0.0])
    with pytest.raises(MethodError, match="all 2 starts of ICA diverged"):
        search(laplace(4), ICAConfig(max_starts=2), Contrast.logcosh, generator())


@pytest.mark.parametrize(("recurrences", "run"), [(1, 10), (3, 10), (11, 20), (50, 34)])
def test_beyond_20_components_starts_run_until_the_best_has_come_back(planned, recurrences, run):
    planned([rotation(25, 0)] * 40, [True] * 40, [0.5] * 40)
    config = ICAConfig(max_starts=34, recurrences=recurrences)
    found = search(laplace(25, 200), config, Contrast.logcosh, generator())
    assert len(found.solution.converged) == run
    assert len(found.best.starts) == run


def test_the_number_of_starts_shrinks_with_components_unless_it_is_given():
    config = ICAConfig()
    assert [config.most_starts(k) for k in (1, 10, 20, 21, 64, 512)] == [40, 40, 40, 38, 12, 3]
    assert ICAConfig(max_starts=7).most_starts(512) == 7


@pytest.mark.parametrize("solver", list(Solver))
def test_planted_sources_are_the_only_optimum(solver):
    found = search(laplace(5), ICAConfig(solver=solver, max_starts=8), Contrast.logcosh, generator())
    assert found.solution.converged.all()
    # to within the error of the sample
    assert found.best.weights.abs().amax(dim=1).min() > 0.99


def test_all_starts_of_one_optimum_are_recognised_whatever_the_generator():
    counts = [
        len(search(laplace(5), ICAConfig(max_starts=8), Contrast.logcosh, generator(seed)).best.starts)
        for seed in range(3)
    ]
    assert counts == [8, 8, 8]
