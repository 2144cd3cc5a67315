import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn.decomposition
import torch
from planted import matched_correlation, plant

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.methods.config import Contrast, Independence, Solver
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.solvers.contrasts import negentropy

every_contrast = pytest.mark.parametrize("contrast", list(Contrast))


@pytest.fixture(scope="module")
def world():
    return plant(n_tokens=5000, n_neurons=2000, n_networks=10, noise=0.5)


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
    found = ICA(n_components=10, contrast=contrast).fit(signals)
    assert found.converged_
    assert matched_correlation(found.maps_, planted).min() > least


def test_planted_networks_are_recovered_from_signals_with_a_large_mean(world):
    signals, planted = world
    mean = 100 * torch.randn(2000, generator=torch.Generator().manual_seed(1))
    found = ICA(n_components=10).fit(signals + mean)
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
    found = ICA(n_components=10).fit(changed)
    assert matched_correlation(found.maps_[:, 5:], planted[:, 5:]).min() > 0.99


def test_sources_are_the_planted_ones(world):
    signals, planted = world
    sources = torch.linalg.lstsq(planted.T, signals.T).solution
    found = ICA(n_components=10).fit(signals)
    assert matched_correlation(found.time_courses_.T.float(), sources).min() > 0.99


@every_contrast
def test_the_whole_fit_agrees_with_scikit_learn_up_to_sign_and_order(contrast):
    signals, _ = plant(n_tokens=3000, n_neurons=100, n_networks=6, noise=0.3)
    found = ICA(n_components=6, contrast=contrast, tolerance=1e-7).fit(signals + 5)
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


def test_learned_values_belong_to_the_networks_beside_them(world):
    found = ICA(n_components=10).fit(world[0])
    torch.testing.assert_close(
        found.negentropy_, negentropy(found.time_courses_.T, found.contrast), atol=1e-9, rtol=1e-6
    )
    assert found.metrics_["negentropy"] == pytest.approx(float(found.negentropy_.sum()))
    assert found.metrics_["n_iterations"] == found.n_iterations_
    assert found.metrics_["gradient"] < found.tolerance


@pytest.mark.parametrize("solver", list(Solver))
def test_a_fit_that_did_not_converge_says_so(world, solver):
    found = ICA(n_components=10, solver=solver, max_iterations=2, max_starts=5).fit(world[0])
    assert found.converged_ is False
    assert found.n_iterations_ == 2
    metrics = found.metrics_
    assert (metrics["converged"], metrics["starts_converged"], metrics["starts_failed"]) == (0, 0, 5)
    assert metrics["gradient"] > found.tolerance
    # and is a decomposition all the same
    torch.testing.assert_close(
        found.time_courses_.T.cov(correction=0), torch.eye(10).double(), atol=1e-5, rtol=0
    )


def test_all_starts_run_for_few_components_and_are_counted(world):
    metrics = ICA(n_components=10).fit(world[0]).metrics_
    assert (metrics["starts"], metrics["starts_converged"], metrics["starts_failed"]) == (40, 40, 0)
    assert (metrics["starts_at_best"], metrics["optima"]) == (40, 1)
    assert (metrics["good_optima"], metrics["tied"]) == (0, 0)
    assert "gap" not in metrics


def test_a_network_of_gaussian_noise_stands_in_fewer_optima_than_a_planted_one():
    # Gaussian noise beside sources has many local optima
    signals, planted = plant(n_tokens=1500, n_neurons=60, n_networks=3, noise=2)
    found = ICA(n_components=8).fit(signals)
    assert found.metrics_["optima"] > 3
    assert found.metrics_["gap"] > 0
    stands = found.statistics_["other_optima"]
    assert stands.shape == (8,)
    assert stands.max() == found.metrics_["good_optima"] > 0
    table = torch.cat([planted, found.maps_]).corrcoef().abs()[:3, 3:]
    assert (stands[table.argmax(dim=1)] == stands.max()).all()
    assert stands.min() < stands.max()


def test_more_starts_never_lower_negentropy():
    signals, _ = plant(n_tokens=1500, n_neurons=60, n_networks=3, noise=2)
    few, many = (ICA(8, max_starts=starts).fit(signals).metrics_["negentropy"] for starts in (1, 10))
    assert few <= many


def test_other_seeds_find_the_same_networks(world):
    first, *others = (ICA(10, seed=seed).fit(world[0]).maps_ for seed in range(3))
    assert all(matched_correlation(other, first).min() > 0.999 for other in others)


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def with_threads(signals, count, **options):
    with threads(count):
        return ICA(10, **options).fit(signals).maps_


def test_any_number_of_threads_finds_the_same_networks(world):
    one, two = (with_threads(world[0], count) for count in (1, 2))
    assert matched_correlation(one, two).min() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("standardised", [False, True])
def test_networks_of_a_model_are_the_same_whatever_the_threads_and_the_seed(recorded_signals, standardised):
    signals = recorded_signals
    if standardised:
        signals = (signals - signals.mean(dim=0)) / signals.std(dim=0)
    networks = with_threads(signals, 1)
    assert matched_correlation(with_threads(signals, 2), networks).min() > 0.999
    # of z-scored signals with first tokens, one random start of 40 reaches the best optimum
    for seed in (1, 2, 3):
        assert matched_correlation(with_threads(signals, 1, seed=seed), networks).min() > 0.999


def test_the_papers_solver_is_measured_by_the_same_gradient(world):
    found = ICA(10, solver="fastica", max_starts=5).fit(world[0])
    # its own rule is met, which is no optimum
    assert found.metrics_["starts_failed"] == 0
    assert found.metrics_["gradient"] > found.tolerance
    assert found.metrics_["converged"] == found.metrics_["starts_converged"] == 0
    assert not found.converged_
    assert found.convergence_[0].own_rule == found.tolerance
    assert not {"starts_at_best", "optima", "good_optima", "tied", "gap"} & found.metrics_.keys()
    assert found.statistics_ == {}
    loose = ICA(10, solver="fastica", max_starts=5, tolerance=0.1).fit(world[0])
    assert loose.converged_
    assert loose.convergence_[0].own_rule is None
    assert loose.metrics_["starts_at_best"] >= 1


def test_fewer_tokens_than_twice_the_components_are_refused():
    signals = torch.randn(19, 40, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match=r"n_components is 10, but 19 tokens are too few .* at least 2 for"):
        ICA(10).fit(signals)
    assert ICA(9, max_starts=2).fit(signals).maps_.shape == (9, 40)


def test_fewer_neurons_than_twice_the_components_are_refused_for_spatial_independence():
    signals = torch.randn(40, 19, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match="19 neurons are too few"):
        ICA(10, independence=Independence.spatial).fit(signals)


@pytest.mark.parametrize("independence", list(Independence))
def test_constant_and_duplicate_neurons_lower_the_rank(independence):
    signals, _ = plant(n_tokens=400, n_neurons=6, n_networks=6, noise=0)
    copies = torch.cat([signals, signals, torch.full((400, 20), 7.0)], dim=1)
    with pytest.raises(MethodError, match=r"n_components is 8, .* rank 6"):
        ICA(8, independence=independence).fit(copies)
    found = ICA(6, independence=independence, max_starts=5).fit(copies)
    torch.testing.assert_close(found.maps_[:, :6], found.maps_[:, 6:12], atol=1e-4, rtol=1e-4)
    assert found.maps_[:, 12:].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance", 0),
        ("tolerance", -1e-4),
        ("tolerance", float("nan")),
        ("max_iterations", 0),
        ("fastica_tolerance", 1),
        ("max_starts", 0),
        ("recurrences", 0),
        ("solver", "'newton'"),
        ("contrast", "'tanh'"),
        ("independence", "'both'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_there_are_signals(field, value):
    with pytest.raises(ConfigError, match=f"method.{field} is {value}"):
        ICA(n_components=3, **{field: value.strip("'") if isinstance(value, str) else value})


def test_choices_may_be_given_by_name():
    method = ICA(3, contrast="cube", independence="spatial")
    assert (method.contrast, method.independence) == (Contrast.cube, Independence.spatial)
