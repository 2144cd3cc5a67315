"""Reliability in numbers and words."""

import torch

from fbn_exp.reliability.base import ReliabilityReport, SurrogateNull
from fbn_exp.report.reliability import present_reliability

METRICS = {
    "runs": 20.0,
    "iq_median": 0.9,
    "networks_p_phase_to_05": 2.0,
    "networks_merged": 0.0,
    "networks_rare": 1.0,
    "runs_not_converged": 3.0,
}


def report(**more):
    statistics = {
        name: torch.tensor([0.9, 0.8, 0.1]).double() for name in ("iq", "reproducibility", "p_phase")
    }
    orders = ({"n_components": 2.0, "iq_median": 0.5, "explained_variance": float("nan")},)
    labels = torch.arange(3)
    null = SurrogateNull("phase", "covariances kept", torch.rand(19, 3))
    return ReliabilityReport(statistics, METRICS | more, "sources", torch.eye(3), labels, (null,), orders)


def test_numbers_of_networks_and_of_all_together_have_stable_names():
    metrics = present_reliability(report()).metrics
    assert abs(metrics["network/1/iq"] - 0.8) < 1e-7
    assert metrics["reliability/iq_median"] == 0.9
    assert metrics["reliability/order/2/iq_median"] == 0.5
    # what does not apply is missing
    assert "reliability/order/2/explained_variance" not in metrics


def test_a_reader_is_told_what_is_significant_and_what_is_not_sure():
    first, null, *others = present_reliability(report()).lines
    assert first == "Reliability over 20 runs, clusters of sources: Iq 0.90 (median)."
    assert null == "Beyond 19 surrogates (covariances kept): 2 of 3 networks with p ≤ .05."
    assert others == [
        "1 of the networks were found in half of the runs or less.",
        "3 of 20 runs did not converge; they are counted like the others.",
    ]
    starts = {"runs_on_all_texts": 10.0, "runs_at_best": 6.0, "optima": 3.0}
    assert present_reliability(report(**starts)).lines[1] == (
        "Each run takes one start. Of 10 that converged on all texts, 6 reached the best optimum; "
        "3 optima in all."
    )
    halves = {"split_half_median": 0.7, "split_half_null_median": 0.5, "networks_p_split_half_to_05": 1.0}
    assert present_reliability(report(**halves)).lines[1] == (
        "Halves of the texts: |r| 0.70 of maps (median; rotations of the same subspaces 0.50), p ≤ .05 for "
        "1 of 3 networks."
    )
