"""Spatial ICA: neurons as samples."""

import numpy as np
import pytest
import sklearn.decomposition
import torch
from planted import matched_correlation, plant, plant_maps

from fbn_exp.core.errors import MethodError
from fbn_exp.methods.config import Independence
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.spatial import NeuronWhitening
from fbn_exp.methods.subspace import leading_subspace


def spatial(n_components, **options):
    return ICA(n_components, independence=Independence.spatial, **options)


@pytest.fixture(scope="module")
def world():
    """Six sparse maps with a mean, whose sources are correlated."""
    signals, maps = plant_maps(n_tokens=600, n_neurons=3000, n_networks=6, noise=0.05)
    shared = torch.linalg.lstsq(maps.T, signals.T).solution.T
    return signals + 0.1 * shared.sum(dim=1, keepdim=True), maps + 0.1


@pytest.fixture(scope="module")
def found(world):
    return spatial(6).fit(world[0])


def test_maps_with_correlated_sources_are_recovered_up_to_sign_and_order(world, found):
    assert found.converged_
    assert found.metrics_["spatial"] == 1
    assert matched_correlation(found.maps_, world[1]).min() > 0.99


def test_temporal_independence_does_not_find_them(world):
    temporal = ICA(6).fit(world[0])
    assert temporal.metrics_["spatial"] == 0
    assert matched_correlation(temporal.maps_, world[1]).min() < 0.9


def test_spatial_independence_does_not_find_independent_sources_with_gaussian_maps():
    signals, planted = plant(n_tokens=3000, n_neurons=800, n_networks=6, noise=0.3)
    assert matched_correlation(ICA(6).fit(signals).maps_, planted).min() > 0.99
    assert matched_correlation(spatial(6).fit(signals).maps_, planted).min() < 0.9


def test_maps_are_not_correlated_over_neurons_and_time_courses_are(found):
    torch.testing.assert_close(found.maps_.double().corrcoef(), torch.eye(6).double(), atol=1e-5, rtol=0)
    assert (found.time_courses_.T.corrcoef() - torch.eye(6)).abs().max() > 0.3


def test_maps_keep_their_mean_and_explain_what_principal_components_explain(world, found):
    assert (found.maps_.mean(dim=1).abs() > 0.01).all()
    principal = PCA(6).fit(world[0])
    assert found.explained_variance_ == pytest.approx(principal.explained_variance_, abs=1e-6)
    rebuilt = found.time_courses_ @ found.maps_.double()
    theirs = principal.time_courses_ @ principal.maps_.double()
    torch.testing.assert_close(rebuilt, theirs, atol=1e-3, rtol=0)


def test_maps_are_those_of_scikit_learn_on_the_loadings(world, found):
    loadings = leading_subspace(world[0], 6, torch.Generator().manual_seed(0)).loadings
    start = np.random.default_rng(0).standard_normal((6, 6))
    reference = sklearn.decomposition.FastICA(6, whiten="unit-variance", w_init=start, tol=1e-6)
    maps = reference.fit_transform(loadings.double().numpy().T).T
    assert matched_correlation(found.maps_, torch.from_numpy(maps)).min() > 0.9999


def test_negentropy_is_that_of_the_map_beside_it(found):
    centred = found.maps_.double() - found.maps_.double().mean(dim=1, keepdim=True)
    unit = centred / centred.std(dim=1, correction=0, keepdim=True)
    torch.testing.assert_close(found.negentropy_, negentropy(unit, found.contrast), atol=1e-7, rtol=1e-4)


def test_where_a_constant_map_is_in_the_signals_it_is_a_network_of_its_own():
    signals, planted = plant_maps(n_tokens=600, n_neurons=3000, n_networks=4, noise=0)
    maps = planted - planted.mean(dim=1, keepdim=True)
    sources = torch.linalg.lstsq(planted.T, signals.T).solution.T
    extra = torch.randn(600, 1, generator=torch.Generator().manual_seed(1))
    found = spatial(5).fit(sources @ maps + 0.5 * extra)
    constant = (found.maps_.std(dim=1) < 1e-3 * found.maps_.mean(dim=1).abs()).nonzero()[:, 0].tolist()
    assert len(constant) == 1
    assert found.negentropy_[constant[0]] == 0
    others = [index for index in range(5) if index not in constant]
    assert matched_correlation(found.maps_[others], maps).min() > 0.99
    assert found.explained_variance_ == pytest.approx(1, abs=1e-5)


def test_the_mixing_matrix_of_a_whitening_can_be_inverted():
    loadings = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(0))).Q
    whitening = NeuronWhitening.of(loadings)  # full rank: the constant map is among them
    assert whitening.values.shape == (8, 9)
    covariance = whitening.values @ whitening.values.T / 9
    torch.testing.assert_close(covariance, torch.eye(8).double(), atol=1e-5, rtol=0)
    assert torch.linalg.cond(whitening.mixing(torch.eye(8).double())) < 100


def test_signals_that_move_alike_in_all_neurons_have_nothing_to_separate():
    course = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match="alike in all 20 neurons"):
        spatial(1).fit(course.expand(50, 20).contiguous())
