import pytest
import torch
from planted import plant
from scipy.stats import skew

from fbn_exp.methods.pca import PCA
from fbn_exp.methods.random import RandomRotation


@pytest.fixture(scope="module", params=[400, 700], ids=["exact", "iterative"])
def signals(request):
    return plant(request.param, n_neurons=800, n_networks=5, noise=0.3)[0] + 3


@pytest.fixture(scope="module")
def decomposed(signals):
    """Singular value decomposition of the centred signals, each right vector with positive skewness."""
    exact = signals.double() - signals.double().mean(dim=0)
    left, values, right = torch.linalg.svd(exact, full_matrices=False)
    sign = torch.from_numpy(skew(right.numpy(), axis=1)).sign()[:, None]
    return left[:, :5] * sign[:5].T, values, right[:5] * sign[:5]


def test_networks_are_the_scaled_singular_vectors(signals, decomposed):
    left, values, right = decomposed
    found = PCA(n_components=5).fit(signals)
    scale = len(signals) ** 0.5
    torch.testing.assert_close(found.maps_.double(), right * values[:5, None] / scale, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.time_courses_, left * scale, atol=1e-4, rtol=0)
    ratio = values.square() / values.square().sum()
    torch.testing.assert_close(found.explained_variance_ratio_, ratio[:5], atol=1e-6, rtol=0)


def test_a_random_rotation_spans_the_principal_subspace(signals, decomposed):
    left, _, right = decomposed
    found = RandomRotation(n_components=5).fit(signals)
    courses = found.time_courses_ / len(signals) ** 0.5
    torch.testing.assert_close(torch.linalg.svdvals(courses.T @ left).min().item(), 1.0, atol=1e-9, rtol=0)
    rows = torch.linalg.qr(found.maps_.double().T).Q
    torch.testing.assert_close(torch.linalg.svdvals(right @ rows).min().item(), 1.0, atol=1e-9, rtol=0)


def test_a_random_rotation_explains_what_pca_explains_but_not_alike(signals):
    principal, rotated = (method(n_components=5).fit(signals) for method in (PCA, RandomRotation))
    first, second = principal.explained_variance_ratio_, rotated.explained_variance_ratio_
    torch.testing.assert_close(first.sum(), second.sum(), atol=1e-6, rtol=0)
    assert (principal.maps_ - rotated.maps_).abs().max() > 0.1


def test_random_rotations_differ_by_seed(signals):
    first, second = (RandomRotation(n_components=5, seed=seed).fit(signals) for seed in (0, 1))
    assert (first.maps_ - second.maps_).abs().max() > 0.1
