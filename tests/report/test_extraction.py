"""What a reader is told of a fit and of its signals."""

import numpy as np
import pytest
import torch
from synthetic import described, lay_out, texts

from fbn_exp.core.moments import RowNorms
from fbn_exp.methods.base import skewness, tail_signs
from fbn_exp.methods.config import Criterion
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.order import OrderCurve
from fbn_exp.methods.sae import SparseAutoencoder
from fbn_exp.methods.solvers.convergence import Convergence, Starts, StartScore
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.extraction import (
    autoencoder_lines,
    convergence_remarks,
    outlier_remarks,
    present_extraction,
    remarks,
)
from fbn_exp.report.networks import sign_remarks, tail_remarks
from fbn_exp.report.order import present_order_curves
from fbn_exp.thresholds.base import Tails
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.mixture import MixtureThreshold
from fbn_exp.thresholds.z import ZThreshold


@pytest.mark.parametrize(
    ("method", "fit", "said"),
    [
        ("ICA", Convergence(True, 12, 1e-9), "ICA converged in 12 iterations (gradient 1e-09)."),
        (
            "ICA",
            Convergence(False, 30, 2e-3, starts=Starts(40, 0, 35, None, False), own_rule=1e-7),
            "FastICA stopped by its own rule after 30 iterations; the gradient 0.002 is above "
            "method.tolerance (1e-07): no optimum. Other seeds",
        ),
        (
            "CanICA",
            Convergence(False, 400, 0.012),
            "CanICA did not converge in 400 iterations (gradient 0.01): ",
        ),
        (
            "ICA",
            Convergence(True, 30, 4e-9, starts=Starts(11, 11, 3, 0.0001, False)),
            "The best optimum came back from 3 of 11 starts (gradient 4e-09). The next optimum's "
            "negentropy is lower by 0.01%.",
        ),
        (
            "CanICA",
            Convergence(True, 30, 4e-9, starts=Starts(40, 40, 3, 0.02, False, StartScore.largest_l1)),
            "The best optimum came back from 3 of 40 starts (gradient 4e-09). The next optimum's least "
            "sparse map is denser (L1 norm) by 2%.",
        ),
        (
            "ICA",
            Convergence(True, 30, 4e-9, starts=Starts(11, 9, 1, None, False)),
            "ICA converged (gradient 4e-09), but only one of 11 starts reached the best optimum: other seeds "
            "may find a better one, raise method.max_starts. 2 starts did not converge.",
        ),
        (
            "ICA",
            Convergence(True, 30, 4e-9, starts=Starts(40, 40, 0, 0.0003, False)),
            "ICA converged (gradient 4e-09). None of 40 random starts reached the best optimum: it was found "
            "from the best of theirs, by mixing two networks and going on. The next optimum's negentropy is",
        ),
        ("ICA", Convergence(True, 30, 4e-9, starts=Starts(1, 1, 1, None, False)), "ICA converged in 30 it"),
        ("DictionaryLearning", Convergence(True, 69), "DictionaryLearning converged in 69 iterations."),
        (
            "DictionaryLearning",
            Convergence(False, 340, limit="method.epochs"),
            "DictionaryLearning did not converge in 340 iterations: "
            "other seeds may find other networks, raise method.epochs.",
        ),
    ],
)
def test_a_reader_is_told_how_the_method_ended(method, fit, said):
    (line,) = convergence_remarks(method, [fit], per_block=False)
    assert line.startswith(said)


def test_a_reader_is_told_that_two_optima_cannot_be_told_apart():
    tied = Convergence(True, 30, 4e-9, starts=Starts(40, 40, 20, 1e-9, True))
    _, line = convergence_remarks("ICA", [tied], per_block=False)
    assert line.startswith("The next optimum is as good to within rounding, and holds other networks")


def test_of_many_blocks_a_reader_is_told_how_many_converged():
    fits = [Convergence(True, 3), Convergence(False, 9)] * 2
    assert convergence_remarks("PerBlock", fits, True) == ["The method converged in 50% of 4 blocks."]
    assert convergence_remarks("PerBlock", fits[:1], True) == ["The method converged in 100% of 1 blocks."]


def test_a_method_without_iterations_needs_no_remark():
    assert convergence_remarks("PCA", [], per_block=False) == []


@pytest.mark.parametrize(
    ("n_curves", "said"),
    [
        (1, "ends at its bound of 5 networks: description length may prefer more"),
        (3, "ends at its bound of 5 networks in 2 of 3 blocks"),
    ],
)
def test_a_reader_is_told_that_a_number_of_networks_is_only_the_bound(n_curves, said):
    rising, bent = (OrderCurve(Criterion.mdl, np.array(values)) for values in ([0, 1, 2, 3, 4, 5], [0, 2, 1]))
    assert present_order_curves([bent]).remarks == []
    (remark,) = present_order_curves([rising, bent, rising][:n_curves]).remarks
    assert said in remark
    assert "Raise method.largest_order" in remark
    assert "evaluate.py analysis=order" in remark


def test_a_reader_is_told_of_outliers_and_calm_signals_need_no_remark():
    first, advice = outlier_remarks(RowNorms(median=3.0, largest=9.0, outliers=2, outlier_share=0.8), 100)
    assert "2 of 100 tokens hold 80% of the signals' energy (largest row norm 9, median 3)" in first
    assert "signals=stable" in advice
    assert outlier_remarks(RowNorms(median=3.0, largest=9.0, outliers=2, outlier_share=0.01), 100) == []


def test_a_reader_is_told_of_networks_without_a_neuron():
    assert remarks(described(3, texts(), lay_out(2, 8), z=0.1)) == []
    empty = described(3, texts(), lay_out(2, 8), z=1e9)
    assert remarks(empty) == ["3 networks have no neuron at this threshold."]


@pytest.mark.parametrize(("pole", "high", "low"), [("positive", "up", "down"), ("negative", "down", "up")])
def test_a_reader_is_told_where_the_members_go(pole, high, low):
    found = present_extraction(
        described(3, texts(), lay_out(2, 50), threshold=ZThreshold(1.5, pole=pole)), None, max_networks=0
    )
    tokens, drivers = found.tables["strongest_tokens"], found.tables["drivers"]
    assert (tokens["members_go"] == np.where(tokens["strength"] > 0, high, low)).all()
    words = {1: high, -1: low, 0: "up and down"}
    assert drivers["members_go"].tolist() == [words[sign] for sign in drivers["driver_sign"]]
    said = [f"{label}: {go}" for label, go in zip(drivers["label"], drivers["members_go"], strict=True)]
    assert found.rows["driven by: members go"].tolist() == said
    arrow = {"up": "↑", "down": "↓"}[tokens["members_go"][0]]
    assert found.rows["strongest at"][0].startswith(f"{arrow}{tokens['token'][0]!r}")
    counts = found.tables["networks"]
    assert (counts["members_down" if high == "up" else "members_up"] == 0).all()


def test_a_reader_is_told_of_networks_whose_sign_is_a_convention():
    maps = torch.randn(3, 2_000, generator=torch.Generator().manual_seed(0))
    maps[1] = maps[1].exp()
    networks = FunctionalNetworks(maps * torch.tensor([1, 1, -1])[:, None], lay_out(2, 1_000))
    (said,) = sign_remarks(networks, ICA(3), Pole.positive)
    assert "convention in networks 0, 2:" in said
    assert sign_remarks(networks, ICA(3), Pole.both) == []
    # heavy tails: the skewness is 4 standard errors of a normal distribution from 0, within 2 of its own
    heavy = torch.randn(1, 2_000, generator=torch.Generator().manual_seed(1)).pow(3)
    heavy *= tail_signs(heavy)
    assert skewness(heavy) > 4 * (6 / 2_000) ** 0.5
    (said,) = sign_remarks(FunctionalNetworks(heavy, lay_out(2, 1_000)), ICA(1), Pole.positive)
    assert "convention in network 0:" in said
    # latents of an autoencoder have a sign
    assert sign_remarks(networks, SparseAutoencoder(3), Pole.positive) == []


def test_a_reader_is_told_of_networks_without_members_and_without_tails():
    flat = described(3, texts(), lay_out(2, 8), z=1e9)
    assert present_extraction(flat, None, 0).rows["driven by: members go"].str.endswith(": no members").all()
    found = present_extraction(
        described(3, texts(), lay_out(2, 500), threshold=MixtureThreshold(pole="both")), None, 0
    )
    assert found.metrics["networks/positive_tails"] == found.metrics["networks/negative_tails"] == 3
    assert found.remarks[0].startswith("Of 3 maps 3 have a positive tail, 3 a negative one, and 0 neither")
    assert (found.tables["drivers"]["members_go"] == "up and down").all()


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (MixtureThreshold(), "negative tail was found in network 1: threshold.pole=positive has no members;"),
        (
            ZThreshold(2),
            "negative tail was found in network 1: threshold.pole=positive cuts a continuum in it;",
        ),
        (
            ZThreshold(2, pole="negative"),
            "positive tail was found in networks 0, 3: threshold.pole=negative cuts",
        ),
        (ZThreshold(2, pole="both"), None),
    ],
)
def test_a_reader_is_told_of_tails_at_the_end_that_is_not_taken(threshold, said):
    tails = Tails(torch.tensor([0.1, 0.0, 0.1, 0.1, 0.0]), torch.tensor([0.0, 0.1, 0.1, 0.0, 0.0]))
    first, *others = tail_remarks(tails, threshold)
    assert "and 1 neither: no tail beyond a normal distribution was found in them" in first
    assert len(others) == (said is not None)
    assert all(said in remark for remark in others)


def test_an_autoencoder_is_judged_by_what_it_explains_in_held_out_texts():
    fitted = SparseAutoencoder(2, active=1)
    fitted.maps_ = torch.zeros(2, 4)
    fitted.metrics_ = {"dead_latents": 1.0, "latents_per_token": 0.5}
    assert autoencoder_lines(fitted) == ["0.5 of 2 latents are active at a token; dead: 1."]
    fitted.metrics_ |= {"dead_latents": 0.0, "held_out_variance": 0.1, "held_out_pca": 0.125}
    assert autoencoder_lines(fitted) == [
        "0.5 of 2 latents are active at a token; dead: none.",
        "In texts held out of the training latents explain 10.0% of the variance, 2 principal components "
        "12.5%.",
    ]
