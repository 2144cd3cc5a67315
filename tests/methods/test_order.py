"""Tests of the number of components by description length and evidence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import matched_correlation
from sklearn.decomposition._pca import _assess_dimension

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.methods.config import Criterion
from fbn_exp.methods.dictionary import DictionaryLearning
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.order import criterion_curve, select_order
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.per_block import PerBlock
from fbn_exp.methods.subspace import leading_subspace

CRITERIA = list(Criterion)


def planted(
    n_components: int, n_tokens: int, n_neurons: int, seed: int, strength: float = 3.0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    courses = torch.randn(n_tokens, n_components, generator=generator)
    maps = 9 * torch.randn(n_components, n_neurons, generator=generator)
    return courses @ maps / n_neurons**0.5 + torch.randn(n_tokens, n_neurons, generator=generator)


def spectrum(signals: torch.Tensor) -> np.ndarray:
    centred = (signals - signals.mean(dim=0)).double()
    return (torch.linalg.svdvals(centred) ** 2 / len(signals)).numpy()


def test_the_evidence_is_scikit_learns_where_all_eigenvalues_are_known():
    eigenvalues = spectrum(planted(3, 400, 20, 0))
    curve = criterion_curve(eigenvalues[:19], eigenvalues.sum(), 400, 20, Criterion.laplace)
    theirs = np.array([_assess_dimension(eigenvalues, rank, 400) for rank in range(1, 19)])
    np.testing.assert_allclose(curve.values[2:19] - curve.values[1], theirs[1:] - theirs[0], rtol=1e-9)


def test_description_length_of_a_case_computed_by_hand():
    # two variables with variances 4 and 1, 100 samples; one component: noise 1, parameters 1 + 1 + 1
    curve = criterion_curve(np.array([4.0]), 5.0, 100, 2, Criterion.mdl)
    none = -50 * 2 * np.log(2.5) - 0.5 * np.log(100)
    one = -50 * (np.log(4) + np.log(1)) - 1.5 * np.log(100)
    np.testing.assert_allclose(curve.values, [0, one - none])


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("shape", [(600, 200), (200, 600)])
@pytest.mark.parametrize("n_components", [1, 3, 8])
def test_planted_components_are_counted(criterion, shape, n_components):
    signals = planted(n_components, *shape, seed=n_components)
    assert select_order(signals, criterion, 30, 0)[0].best == n_components


@pytest.mark.parametrize("criterion", CRITERIA)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_noise_has_no_component(criterion, seed):
    noise = torch.randn(300, 120, generator=torch.Generator().manual_seed(seed))
    with pytest.raises(MethodError, match="no component above noise"):
        select_order(noise, criterion, 30, 0)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_the_scale_of_the_signals_does_not_matter(seed, scale):
    signals = planted(4, 300, 150, seed)
    values = [select_order(each, Criterion.mdl, 20, 0)[0].values for each in (signals, scale * signals)]
    np.testing.assert_allclose(*values, rtol=1e-3)


def test_a_curve_that_still_rises_says_so():
    signals = planted(12, 600, 200, 0)
    assert select_order(signals, Criterion.mdl, 5, 0)[0].bounded
    assert not select_order(signals, Criterion.mdl, 20, 0)[0].bounded


@pytest.mark.parametrize("criterion", CRITERIA)
def test_exact_low_rank_gives_the_rank(criterion):
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(200, 4, generator=generator) @ torch.randn(4, 90, generator=generator)
    assert select_order(signals, criterion, 30, 0)[0].best == 4


def test_too_small_signals_are_refused():
    with pytest.raises(MethodError, match="too small"):
        select_order(torch.randn(2, 5), Criterion.mdl, 10, 0)


def test_a_method_takes_the_number_that_its_signals_prefer():
    method = PCA("auto")
    fitted = method.fit(planted(3, 400, 100, 0))
    assert len(fitted.maps_) == 3
    assert fitted.orders_[0].best == 3
    # other signals decide anew
    assert len(method.fit(planted(5, 400, 100, 0)).maps_) == 5
    with pytest.raises(MethodError, match="only signals can decide"):
        _ = method.count


@pytest.mark.parametrize("method", [PCA("auto"), DictionaryLearning("auto"), ICA("auto", max_starts=2)])
def test_the_subspace_is_computed_once(method, monkeypatch):
    computed = []

    def counted(signals, n_components, *others, **more):
        computed.append(n_components)
        return leading_subspace(signals, n_components, *others, **more)

    for module in ("base", "order"):
        monkeypatch.setattr(f"fbn_exp.methods.{module}.leading_subspace", counted)
    signals = planted(3, 400, 100, 0)
    maps = method.fit(signals).maps_
    assert computed == [99]
    assert matched_correlation(maps, replace(method, n_components=3).fit(signals).maps_).min() > 0.9999


def test_a_method_that_signals_decided_for_decomposes_others_by_their_own_subspace():
    signals, others = planted(3, 400, 100, 0), planted(3, 400, 100, 1)
    resolved = PCA("auto").resolved(signals)
    torch.testing.assert_close(resolved.fit(others).maps_, PCA(3).fit(others).maps_)
    torch.testing.assert_close(resolved.fit(signals.clone()).maps_, PCA(3).fit(signals).maps_)


def test_every_block_takes_its_own_number():
    first, second = planted(2, 400, 100, 0), planted(5, 400, 80, 1)
    layout = NeuronLayout.of(Site.mlp_output, ["a", "b"], [100, 80])
    fitted = PerBlock(PCA("auto", per_block=True), layout).fit(torch.cat([first, second], dim=1))
    assert fitted.block_of_network_ is not None
    assert sorted(fitted.block_of_network_) == [0] * 2 + [1] * 5
    assert [curve.best for curve in fitted.orders_] == [2, 5]


@pytest.mark.parametrize("value", ["many", 0.5, True, None, "10", 0, -1, 2**40])
def test_other_values_are_refused(value):
    with pytest.raises(ConfigError, match=r"method\.n_components"):
        PCA(value)
