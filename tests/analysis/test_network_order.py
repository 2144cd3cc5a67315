"""Tests of reproducibility against prediction over the number of networks."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbn_exp.analysis.halves import prediction_error, rotated_agreement
from fbn_exp.analysis.order import NetworkOrder, OrderFindings
from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.random import RandomRotation
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.matching import absolute_correlation, matched
from fbn_exp.report.analyses.order import present_order
from fbn_exp.thresholds.z import ZThreshold

N_NEURONS, LENGTH = 120, 60
LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b"], [70, 50])


def planted(n_components=3, n_texts=24, noise=0.5, seed=0):
    """Signals of texts with orthogonal components of decreasing variance."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.linalg.qr(torch.randn(N_NEURONS, n_components, generator=generator)).Q.T
    strength = torch.linspace(12, 6, n_components)[:, None]
    courses = torch.randn(n_texts * LENGTH, n_components, generator=generator)
    signals = courses @ (strength * maps)
    return signals + noise * torch.randn(*signals.shape, generator=generator), Rows((LENGTH,) * n_texts)


def measured(method, signals, rows, **options):
    texts = SimpleNamespace(source="planted texts")
    recorded = SimpleNamespace(values=signals, rows=rows, layout=LAYOUT)
    recording = SimpleNamespace(method=method, recorded=lambda _: nullcontext(recorded))
    analysis = NetworkOrder(dataset=EmbeddedDataset("wiki"), draws=199, **options)
    analysis.texts = texts
    return analysis.measure(FunctionalNetworks(torch.randn(1, N_NEURONS), LAYOUT), ZThreshold(), recording)


@pytest.fixture(scope="module")
def findings() -> OrderFindings:
    return measured(PCA(), *planted(), orders=[1, 2, 3, 5, 8], splits=2)


def test_components_that_exist_reproduce_and_predict_and_more_do_neither(findings):
    assert findings.best == 3
    by_order = {point.n_components: point for point in findings.points}
    assert np.median(by_order[3].correlation) > 0.99
    assert np.median(by_order[8].correlation) < 0.6
    errors = [by_order[order].error.mean() for order in (1, 2, 3)]
    assert errors == sorted(errors, reverse=True)
    # noise that is fitted does not predict neurons that were left out
    assert by_order[8].error.mean() > by_order[3].error.mean()


def test_the_error_at_the_true_order_is_the_share_of_the_noise(findings):
    # components explain 12², 9² and 6² of the variance, noise .25 in each of 120 neurons
    share = 0.25 * N_NEURONS / (144 + 81 + 36 + 0.25 * N_NEURONS)
    assert findings.points[2].error.mean() == pytest.approx(share, rel=0.1)


def test_findings_have_a_point_for_each_order_and_a_presentation(findings, tmp_path):
    assert [point.correlation.shape for point in findings.points] == [(2, order) for order in (1, 2, 3, 5, 8)]
    presentation = present_order(findings)
    assert presentation.metrics["order/best"] == 3
    assert presentation.metrics["order/3/split_half"] > 0.99
    assert presentation.lines[0].startswith("3 networks are nearest")
    assert presentation.metrics["order/3/p_corrected"] == pytest.approx(5 / 200)
    presentation.figures["order"]().savefig(tmp_path / "order.png")


def test_the_end_of_the_range_is_not_called_best_without_a_remark():
    found = measured(PCA(), *planted(), orders=[2, 3], splits=2)
    assert found.best == 3
    assert "end of the numbers" in present_order(found).remarks[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_number_of_networks_is_found_in_noise(seed):
    signals, rows = planted(noise=0.0)
    noise = torch.randn(signals.shape, generator=torch.Generator().manual_seed(seed))
    found = measured(PCA(), noise, rows, orders=[1, 2, 5, 10], splits=2)
    assert found.best == 0
    said = present_order(found)
    assert said.metrics["order/best"] == 0
    assert said.lines[0].startswith("At no number of networks")


def test_a_single_network_cannot_agree_better_than_its_rotation(findings):
    assert findings.points[0].p_value == 1


def test_nothing_reproduces_in_noise_beyond_random_rotations():
    signals, rows = planted(noise=0.0)
    noise = torch.randn(signals.shape, generator=torch.Generator().manual_seed(1))
    (point,) = measured(PCA(), noise, rows, orders=[4], splits=3).points
    assert np.median(point.correlation) < np.median(point.chance) + 0.1
    assert point.error.mean() > 1


def test_random_rotations_agree_as_those_of_the_method_random_do():
    signals, _ = planted(n_components=6)
    halves = signals[: len(signals) // 2], signals[len(signals) // 2 :]
    fits = [PCA(5).fit(half).maps_ for half in halves]
    chance = rotated_agreement(*fits, 200, np.random.default_rng(0), in_units=True)
    drawn = [
        matched(
            absolute_correlation(
                *(RandomRotation(5, seed=2 * seed + side).fit(half).maps_ for side, half in enumerate(halves))
            ).numpy()
        ).mean()
        for seed in range(60)
    ]
    assert chance.mean() == pytest.approx(np.mean(drawn), abs=0.03)


def test_independent_maps_are_turned_at_norm_1_whatever_their_energy():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 60, generator=generator, dtype=torch.float64)
    strength = torch.tensor([100.0, 1.0, 1.0, 1.0], dtype=torch.float64)[:, None]
    others = first + 0.3 * second

    def chance(scale, in_units):
        rng = np.random.default_rng(0)
        return rotated_agreement(scale * first, scale * others, 50, rng, in_units=in_units)

    np.testing.assert_allclose(chance(strength, False), chance(1.0, False))
    # in units of the signal all turned maps lean to the strong one, and agree
    assert np.median(chance(strength, True)) > 0.9
    assert np.median(chance(strength, False)) < 0.8


@pytest.mark.parametrize(
    ("method", "in_units"),
    [(PCA(), True), (ICA(max_starts=1), True), (ICA(max_starts=1, independence="spatial"), False)],
)
def test_the_null_turns_the_side_that_the_method_makes_independent(monkeypatch, method, in_units):
    asked = []

    def agreement(maps, others, draws, rng, *, in_units):
        asked.append(in_units)
        return np.zeros((draws, len(maps)))

    monkeypatch.setattr("fbn_exp.analysis.order.rotated_agreement", agreement)
    measured(method, *planted(), orders=[2], splits=1)
    assert asked == [in_units]


def test_prediction_of_a_case_computed_by_hand():
    # one map of ones: the course of a token is its mean over the given neurons
    signals = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 0.0, 2.0]])
    error = prediction_error(torch.ones(1, 4), torch.zeros(4), signals, np.arange(4))
    # token 0: 1 predicts 3 and 3 predicts 1, squares 4 + 4 + 4 + 4; token 1: 1 predicts 2, 0, 0, 2
    assert error == pytest.approx((16 + 4) / (20 + 8))


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 100))
@settings(max_examples=20, deadline=None)
def test_the_error_does_not_depend_on_scale_or_on_a_mixing_of_the_maps(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    maps, signals = torch.randn(3, 40, generator=generator), torch.randn(20, 40, generator=generator)
    mixing = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    neurons = np.random.default_rng(seed).permutation(40)
    error = prediction_error(maps, torch.zeros(40), signals, neurons)
    assert prediction_error(mixing @ maps, torch.zeros(40), scale * signals, neurons) == pytest.approx(
        error, rel=1e-4
    )


def test_one_text_and_networks_of_blocks_are_refused():
    signals, _ = planted()
    with pytest.raises(MethodError, match="there is one"):
        measured(PCA(), signals, Rows((len(signals),)))
    with pytest.raises(MethodError, match="per_block=false"):
        measured(PCA(per_block=True), *planted())


def test_a_half_with_too_few_tokens_is_named():
    with pytest.raises(MethodError, match="in one half of the texts"):
        measured(PCA(), *planted(n_texts=2), orders=[100])


def test_a_number_that_cannot_be_fitted_leaves_the_others():
    found = measured(PCA(), *planted(n_texts=4), orders=[2, 3, 130], splits=2)
    assert [point.n_components for point in found.points] == [2, 3]
    (remark,) = [said for said in present_order(found).remarks if "130" in said]
    assert remark.startswith("130 networks were left out: in one half of the texts")
