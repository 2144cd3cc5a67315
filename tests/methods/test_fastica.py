import warnings

import numpy as np
import pytest
import sklearn.decomposition
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import matched_correlation, plant
from scipy.integrate import quad
from scipy.stats import norm

from fbn_exp.core.errors import ConfigError
from fbn_exp.methods.config import Contrast, Independence
from fbn_exp.methods.fastica import (
    DERIVATIVES,
    GAUSSIAN_EXPECTATION,
    FastICA,
    fixed_point,
    negentropy,
    symmetric_decorrelation,
)
from fbn_exp.methods.subspace import leading_subspace

every_contrast = pytest.mark.parametrize("contrast", list(Contrast))


@pytest.fixture(scope="module")
def world():
    return plant(n_tokens=5000, n_neurons=2000, n_networks=10, noise=0.5)


@pytest.fixture(scope="module")
def whitened(world):
    """The planted sources, rotated: shape (10, 5000)."""
    return leading_subspace(world[0], 10, torch.Generator().manual_seed(0)).whitened().T.contiguous()


def reference(signals, start=None, whiten=False, **options):
    """Scikit-learn's FastICA, fitted to (T, N) samples; it warns where it does not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sklearn.decomposition.FastICA(
            len(start) if whiten else None, whiten=whiten, w_init=start, algorithm="parallel", **options
        ).fit(signals)


@pytest.mark.parametrize(
    ("contrast", "least"), [(Contrast.logcosh, 0.99), (Contrast.exp, 0.99), (Contrast.cube, 0.98)]
)
def test_planted_networks_are_recovered_up_to_sign_and_order(world, contrast, least):
    signals, planted = world
    found = FastICA(n_components=10, contrast=contrast).fit(signals)
    assert found.converged_
    assert matched_correlation(found.maps_, planted).min() > least


def test_planted_networks_are_recovered_from_signals_with_a_large_mean(world):
    signals, planted = world
    mean = 100 * torch.randn(2000, generator=torch.Generator().manual_seed(1))
    found = FastICA(n_components=10).fit(signals + mean)
    assert matched_correlation(found.maps_, planted).min() > 0.99


@pytest.mark.parametrize("what", ["weights", "means"])
def test_planted_networks_are_recovered_beside_massive_neurons(world, what):
    signals, planted = world
    massive = slice(0, 5)
    changed = signals.clone()
    if what == "means":
        changed[:, massive] += 1e4
    else:
        # the signal of these neurons is massive, their noise is not
        sources = torch.linalg.lstsq(planted.T, signals.T).solution.T
        changed[:, massive] += (1e4 - 1) * sources @ planted[:, massive]
    found = FastICA(n_components=10).fit(changed)
    assert matched_correlation(found.maps_[:, 5:], planted[:, 5:]).min() > 0.99


def test_sources_are_the_planted_ones(world):
    signals, planted = world
    sources = torch.linalg.lstsq(planted.T, signals.T).solution
    found = FastICA(n_components=10).fit(signals)
    assert matched_correlation(found.time_courses_.T.float(), sources).min() > 0.99


@every_contrast
def test_fixed_point_ends_where_scikit_learn_ends(whitened, contrast):
    start = torch.randn(10, 10, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    ours = fixed_point(whitened, start, contrast, tolerance=1e-10, max_iterations=400)
    theirs = reference(whitened.T.numpy(), start.numpy(), fun=contrast.value, tol=1e-10, max_iter=400)
    assert ours.change < 1e-10
    assert abs(ours.n_iterations - theirs.n_iter_) <= 1
    torch.testing.assert_close(ours.weights, torch.from_numpy(theirs.components_), atol=1e-5, rtol=0)


@every_contrast
def test_the_whole_fit_agrees_with_scikit_learn_up_to_sign_and_order(contrast):
    signals, _ = plant(n_tokens=3000, n_neurons=100, n_networks=6, noise=0.3)
    found = FastICA(n_components=6, contrast=contrast, tolerance=1e-7).fit(signals + 5)
    start = np.random.default_rng(0).standard_normal((6, 6))
    theirs = reference(
        (signals + 5).double().numpy(), start, "unit-variance", fun=contrast.value, tol=1e-7, max_iter=400
    )
    maps = torch.from_numpy(theirs.mixing_.T)
    assert matched_correlation(found.maps_, maps).min() > 0.999
    torch.testing.assert_close(
        found.maps_.double().square().sum(dim=1), maps.square().sum(dim=1).sort(descending=True).values,
        rtol=1e-3, atol=0,
    )  # fmt: skip


@every_contrast
def test_slopes_are_the_derivatives(contrast):
    y = torch.linspace(-3, 3, 7).double()[:, None].requires_grad_()
    g, slope = DERIVATIVES[contrast](y)
    (exact,) = torch.autograd.grad(g.sum(), y)
    torch.testing.assert_close(slope.detach(), exact[:, 0], atol=1e-12, rtol=0)


@every_contrast
def test_negentropys_function_is_the_integral_of_the_iterations(contrast):
    gaussian = GAUSSIAN_EXPECTATION[contrast]
    y = torch.linspace(-3, 3, 61).double()[:, None].requires_grad_()
    # a source of one token at y has E G(y) = G(y); its distance from the Gaussian's, squared
    distance = negentropy(y, contrast)
    (exact,) = torch.autograd.grad(distance.sum(), y)
    g, _ = DERIVATIVES[contrast](y.detach())
    torch.testing.assert_close(
        exact.square(), 4 * distance.detach()[:, None] * g.square(), atol=1e-9, rtol=1e-9
    )
    at_zero = {Contrast.logcosh: 0.0, Contrast.exp: -1.0, Contrast.cube: 0.0}[contrast]
    assert negentropy(torch.zeros(1, 1).double(), contrast).item() == pytest.approx((at_zero - gaussian) ** 2)


@pytest.mark.parametrize(
    ("contrast", "function"),
    [
        (Contrast.logcosh, lambda y: np.logaddexp(y, -y) - np.log(2)),
        (Contrast.exp, lambda y: -np.exp(-y * y / 2)),
        (Contrast.cube, lambda y: y**4 / 4),
    ],
)
def test_the_gaussian_expectation_is_its_integral(contrast, function):
    integral, _ = quad(lambda y: function(y) * norm.pdf(y), -15, 15, epsabs=1e-13)
    assert GAUSSIAN_EXPECTATION[contrast] == pytest.approx(integral, abs=1e-10)


@every_contrast
def test_negentropy_tells_gaussian_uniform_and_laplacian_sources_apart(contrast):
    rng = np.random.default_rng(0)
    sources = torch.from_numpy(
        np.stack([rng.standard_normal(200_000), rng.uniform(size=200_000), rng.laplace(size=200_000)])
    )
    sources = (sources - sources.mean(dim=1, keepdim=True)) / sources.std(dim=1, keepdim=True)
    gaussian, uniform, laplacian = negentropy(sources, contrast)
    assert 0 <= gaussian < uniform / 50
    assert uniform < laplacian


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_decorrelated_rows_are_orthonormal_and_the_nearest_such(k, seed):
    weights = torch.randn(k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = symmetric_decorrelation(weights)
    left, _, right = torch.linalg.svd(weights)
    torch.testing.assert_close(found, left @ right, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [0, 1e-12, 1e-6])
def test_rows_that_are_all_but_alike_are_decorrelated_to_orthonormal_ones(dtype, apart):
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights[1] = weights[0] + apart * weights[1]
    found = symmetric_decorrelation(weights.to(dtype)).double()
    torch.testing.assert_close(found @ found.T, torch.eye(6).double(), atol=1e-6, rtol=0)


def test_learned_values_belong_to_the_networks_beside_them(world):
    found = FastICA(n_components=10).fit(world[0])
    torch.testing.assert_close(
        found.negentropy_, negentropy(found.time_courses_.T, found.contrast), atol=1e-9, rtol=1e-6
    )
    assert found.metrics_["negentropy"] == pytest.approx(float(found.negentropy_.sum()))
    assert found.metrics_["n_iterations"] == found.n_iterations_
    assert found.metrics_["last_change"] < found.tolerance


def test_a_fit_that_did_not_converge_says_so(world):
    found = FastICA(n_components=10, max_iterations=2).fit(world[0])
    assert found.converged_ is False
    assert found.n_iterations_ == 2
    assert (found.metrics_["converged"], found.metrics_["starts_converged"]) == (0, 0)
    assert found.metrics_["last_change"] > found.tolerance
    # and is a decomposition all the same
    torch.testing.assert_close(
        found.time_courses_.T.cov(correction=0), torch.eye(10).double(), atol=1e-5, rtol=0
    )


def test_a_converged_fit_counts_its_starts(world):
    metrics = FastICA(n_components=10, restarts=2).fit(world[0]).metrics_
    assert (metrics["converged"], metrics["starts_converged"]) == (1, 2)


def test_more_starts_never_lower_negentropy_where_all_converge():
    # Gaussian noise beside sources has many local optima
    signals, _ = plant(n_tokens=1500, n_neurons=60, n_networks=3, noise=2)
    fits = [
        FastICA(n_components=8, restarts=restarts, max_iterations=2000).fit(signals) for restarts in (1, 4)
    ]
    assert all(fit.metrics_["starts_converged"] == fit.restarts for fit in fits)
    assert fits[0].metrics_["negentropy"] <= fits[1].metrics_["negentropy"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance", 0),
        ("tolerance", -1e-4),
        ("tolerance", float("nan")),
        ("max_iterations", 0),
        ("restarts", 0),
        ("contrast", "'tanh'"),
        ("independence", "'both'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_there_are_signals(field, value):
    with pytest.raises(ConfigError, match=f"method.{field} is {value}"):
        FastICA(n_components=3, **{field: value.strip("'") if isinstance(value, str) else value})


def test_choices_may_be_given_by_name():
    method = FastICA(3, contrast="cube", independence="spatial")
    assert (method.contrast, method.independence) == (Contrast.cube, Independence.spatial)
