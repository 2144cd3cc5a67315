"""What every method promises."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from planted import plant
from scipy.stats import norm, skew

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.methods.base import skewness, skewness_error, tail_signs
from fbn_exp.methods.canica import CanICA
from fbn_exp.methods.config import Independence
from fbn_exp.methods.dictionary import DictionaryLearning
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.random import RandomRotation
from fbn_exp.methods.sae import SparseAutoencoder

UNCORRELATED = {"ica": ICA, "pca": PCA, "random": RandomRotation}
# maps of these signals are Gaussian: more starts would find nothing more
SPATIAL = {
    "spatial": partial(ICA, independence=Independence.spatial, max_starts=1, max_iterations=100),
    "canica": partial(CanICA, max_starts=2, max_iterations=100),
}
SPARSE = {"dictionary": partial(DictionaryLearning, epochs=1)}
# latents may outnumber the rank, and the sign of a map is that of its latent
LATENTS = {"sae": partial(SparseAutoencoder, steps=20, components=16)}


def each(methods):
    return pytest.mark.parametrize("method", methods.values(), ids=methods.keys())


within_the_rank = each(UNCORRELATED | SPATIAL | SPARSE)
every_method = each(UNCORRELATED | SPATIAL | SPARSE | LATENTS)
# by the exact and by the iterative whitening
every_size = pytest.mark.parametrize("n_tokens", [400, 700])

LEARNED = ("maps_", "time_courses_", "explained_variance_ratio_")


def planted_signals(n_tokens=700, noise=0.3):
    return plant(n_tokens, n_neurons=800, n_networks=6, noise=noise)[0] + 3


def global_states():
    return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002


def centred(signals):
    return signals.double() - signals.double().mean(dim=0)


@every_method
@every_size
def test_shapes_and_types(method, n_tokens):
    found = method(n_components=5).fit(planted_signals(n_tokens))
    assert (found.maps_.shape, found.maps_.dtype) == ((5, 800), torch.float32)
    assert (found.time_courses_.shape, found.time_courses_.dtype) == ((n_tokens, 5), torch.float64)
    assert found.explained_variance_ratio_.shape == (5,)


@each(UNCORRELATED | SPATIAL)
@every_size
def test_time_courses_times_maps_rebuild_signals_of_rank_k(method, n_tokens):
    signals = planted_signals(n_tokens, noise=0)
    found = method(n_components=6).fit(signals)
    rebuilt = found.time_courses_ @ found.maps_.double()
    torch.testing.assert_close(rebuilt, centred(signals), atol=1e-4, rtol=0)
    assert found.explained_variance_ == pytest.approx(1, abs=1e-5)


@each(UNCORRELATED)
@every_size
def test_time_courses_have_mean_0_unit_variance_and_no_correlation(method, n_tokens):
    courses = method(n_components=6).fit(planted_signals(n_tokens)).time_courses_
    torch.testing.assert_close(courses.mean(dim=0), torch.zeros(6).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(courses.T.cov(correction=0), torch.eye(6).double(), atol=1e-6, rtol=0)


@each(UNCORRELATED)
@every_size
def test_explained_variance_is_the_squared_error_that_each_network_removes(method, n_tokens):
    signals = planted_signals(n_tokens)
    found = method(n_components=4).fit(signals)
    exact = centred(signals)
    energy = exact.square().sum()
    parts = [
        torch.outer(course, weights)
        for course, weights in zip(found.time_courses_.T, found.maps_.double(), strict=True)
    ]
    removed = [(energy - (exact - part).square().sum()) / energy for part in parts]
    torch.testing.assert_close(found.explained_variance_ratio_, torch.stack(removed), atol=1e-5, rtol=0)
    assert float(found.explained_variance_ratio_.sum()) == pytest.approx(found.explained_variance_, abs=1e-5)


@every_method
@every_size
def test_explained_variance_is_the_squared_error_that_all_networks_remove(method, n_tokens):
    signals = planted_signals(n_tokens)
    found = method(n_components=4).fit(signals)
    exact = centred(signals)
    left = exact - found.time_courses_ @ found.maps_.double()
    together = 1 - left.square().sum() / exact.square().sum()
    assert found.explained_variance_ == pytest.approx(float(together), abs=1e-5)


@each(SPATIAL | SPARSE | LATENTS)
def test_other_time_courses_have_mean_0_and_unit_variance(method):
    courses = method(n_components=6).fit(planted_signals()).time_courses_
    torch.testing.assert_close(courses.mean(dim=0), torch.zeros(6).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(courses.square().mean(dim=0), torch.ones(6).double(), atol=1e-6, rtol=0)


@every_method
def test_networks_are_ordered_by_explained_variance(method):
    ratio = method(n_components=6).fit(planted_signals()).explained_variance_ratio_
    assert (ratio.diff() <= 0).all()
    assert (ratio > 0).all()
    assert (ratio < 1).all()


@within_the_rank
def test_the_heavier_tail_of_every_map_is_positive(method):
    maps = method(n_components=6).fit(planted_signals()).maps_
    assert (torch.from_numpy(skew(maps.double().numpy(), axis=1)) >= 0).all()


@pytest.mark.parametrize("distribution", ["normal", "heavy", "exponential"])
def test_the_standard_error_of_the_skewness_holds_for_heavy_tails(distribution):
    rng, n = np.random.default_rng(0), 20_000
    drawn = rng.standard_normal((200, n))
    maps = {
        "normal": drawn,
        "heavy": np.sign(drawn) * np.abs(drawn) ** 1.5,
        "exponential": -np.log(norm.cdf(drawn)),
    }[distribution]
    weights = torch.from_numpy(maps)
    error = skewness_error(weights)
    assert float(error.median()) == pytest.approx(float(skewness(weights).std()), rel=0.2)
    assert (float(error.median()) > 1.5 * (6 / n) ** 0.5) == (distribution != "normal")
    torch.testing.assert_close(skewness_error(3 * weights + 1), error)
    assert skewness_error(torch.zeros(1, 3)).tolist() == [0.0]


def test_signs_do_not_rest_on_a_single_neuron():
    tail = torch.randn(1, 5_000, generator=torch.Generator().manual_seed(0)).exp()
    # one neuron reaches further at the other end, by a thousandth
    maps = torch.cat([tail, -1.001 * tail.amax(dim=1, keepdim=True)], dim=1)
    assert tail_signs(torch.cat([maps, -maps])).tolist() == [1.0, -1.0]
    assert tail_signs(torch.zeros(1, 3)).tolist() == [1.0]


@every_method
@every_size
def test_signals_and_global_generators_are_left_alone(method, n_tokens):
    signals = planted_signals(n_tokens)
    before, states = signals.clone(), global_states()
    method(n_components=4).fit(signals)
    assert torch.equal(signals, before)
    assert global_states() == states


@every_method
@every_size
def test_the_same_seed_gives_the_same_bits(method, n_tokens):
    signals = planted_signals(n_tokens)
    first = method(n_components=5, seed=3).fit(signals)
    torch.rand(7)
    second = method(n_components=5, seed=3).fit(signals)
    for learned in LEARNED:
        assert torch.equal(getattr(first, learned), getattr(second, learned))


@every_method
def test_a_refit_forgets_the_first_fit(method):
    estimator = method(n_components=5).fit(planted_signals())
    other = planted_signals(noise=1)
    again, fresh = estimator.fit(other), method(n_components=5).fit(other)
    for learned in LEARNED:
        assert torch.equal(getattr(again, learned), getattr(fresh, learned))
    assert again.metrics_ == fresh.metrics_


@every_method
@every_size
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_an_error_that_names_its_neuron(method, n_tokens, bad):
    signals = planted_signals(n_tokens)
    signals[n_tokens - 1, 77] = bad
    with pytest.raises(MethodError, match=r"not finite.* neuron 77$"):
        method(n_components=4).fit(signals)


@within_the_rank
@every_size
def test_more_components_than_rank_is_an_error_with_both_numbers(method, n_tokens):
    with pytest.raises(MethodError, match=r"n_components is 7, .* 800 neurons have rank 6"):
        method(n_components=7).fit(planted_signals(n_tokens, noise=0))


@every_method
def test_signals_that_never_change_are_an_error(method):
    with pytest.raises(MethodError, match="rank 0"):
        method(n_components=1).fit(torch.full((700, 800), 0.1))


@pytest.mark.parametrize(
    ("shape", "most"), [((10, 50), 9), ((50, 10), 10), ((1, 50), 0), ((0, 50), 0), ((50, 0), 0)]
)
@within_the_rank
def test_more_components_than_tokens_or_neurons_hold_is_an_error(method, shape, most):
    signals = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match=rf"n_components is {most + 1}, .* hold at most {most} "):
        method(n_components=most + 1).fit(signals)


@pytest.mark.parametrize(
    ("name", "shape", "most"),
    [
        ("pca", (10, 50), 9),
        ("random", (10, 50), 9),
        ("random", (50, 10), 10),
        # each component takes two samples: tokens, or neurons
        ("ica", (19, 50), 9),
        ("ica", (50, 10), 10),
        ("spatial", (10, 50), 9),
        ("spatial", (50, 10), 5),
        ("canica", (50, 10), 5),
    ],
)
def test_as_many_components_as_signals_hold_are_found(name, shape, most):
    signals = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = (UNCORRELATED | SPATIAL)[name](n_components=most).fit(signals)
    whole = most == min(shape[0] - 1, shape[1])
    assert (found.explained_variance_ == pytest.approx(1, abs=1e-5)) is whole


@every_method
def test_signals_of_another_dimension_are_an_error_that_gives_their_shape(method):
    with pytest.raises(MethodError, match=r"shape \(3, 4, 5\)"):
        method(n_components=2).fit(torch.zeros(3, 4, 5))


@every_method
@pytest.mark.parametrize("n_components", [0, -3])
def test_no_components_is_an_error_before_there_are_signals(method, n_components):
    with pytest.raises(ConfigError, match=f"method.n_components is {n_components}"):
        method(n_components=n_components)


@every_method
def test_a_copy_with_another_value_is_not_fitted(method):
    fitted = method(n_components=2).fit(planted_signals(100))
    copy = replace(fitted, seed=1)
    assert (type(copy), copy.n_components, copy.seed) == (type(fitted), 2, 1)
    assert not hasattr(copy, "maps_")
