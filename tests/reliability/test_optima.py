"""Optima that runs from new starts share."""

import torch

from fbn_exp.reliability.optima import optima_metrics
from fbn_exp.reliability.runs import Run


def run_of(turn, score, converged=True):
    """A run whose courses are turned axes."""
    return Run(torch.eye(3), turn.double(), converged, score)


def similarity(runs):
    directions = torch.cat([run.courses.T for run in runs])
    return (directions @ directions.T).abs()


def test_runs_with_the_same_sources_in_any_order_and_sign_are_one_optimum():
    generator = torch.Generator().manual_seed(0)
    best, other = (torch.linalg.qr(torch.randn(5, 3, generator=generator)).Q for _ in range(2))
    runs = [
        run_of(other, 0.1),
        run_of(best, 0.2),
        run_of(best[:, [2, 0, 1]] * torch.tensor([1, -1, 1]), 0.2),
        run_of(best, 0.2),  # on drawn texts
        run_of(best, 0.9, converged=False),
    ]
    found = optima_metrics(runs, similarity(runs), [False, False, False, True, False])
    assert found == {"runs_on_all_texts": 3.0, "runs_at_best": 2.0, "optima": 2.0}


def test_a_method_without_starts_has_no_optima():
    runs = [run_of(torch.eye(3), None)] * 2
    assert optima_metrics(runs, similarity(runs), [False, False]) == {}
