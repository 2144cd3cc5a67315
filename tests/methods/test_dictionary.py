import pytest
import torch
from planted import matched_correlation, plant_maps

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.methods.dictionary import DictionaryLearning
from fbn_exp.methods.pca import PCA


@pytest.fixture(scope="module")
def world():
    return plant_maps(n_tokens=600, n_neurons=1500, n_networks=6, noise=0.05)


@pytest.mark.parametrize("alpha", [0.2, 1])
def test_sparse_maps_are_recovered_up_to_sign_and_order(world, alpha):
    signals, planted = world
    found = DictionaryLearning(6, alpha=alpha).fit(signals)
    assert matched_correlation(found.maps_, planted).min() > 0.999
    assert found.metrics_["empty_maps"] == 0


def test_most_neurons_that_were_left_out_are_exactly_0(world):
    signals, planted = world
    found = DictionaryLearning(6).fit(signals).maps_
    table = planted @ found.T
    partner = table.abs().argmax(dim=1)
    assert (found[partner][planted == 0] == 0).double().mean() > 0.85


def test_principal_components_do_not_find_them(world):
    assert matched_correlation(PCA(6).fit(world[0]).maps_, world[1]).min() < 0.9


def test_a_larger_penalty_leaves_fewer_neurons(world):
    fits = [DictionaryLearning(6, alpha=alpha).fit(world[0]) for alpha in (0.01, 0.3, 2)]
    sparsity = [fit.metrics_["sparsity"] for fit in fits]
    assert sparsity == sorted(sparsity)
    assert sparsity[2] > sparsity[0] + 0.2
    for fit, share in zip(fits, sparsity, strict=True):
        assert float((fit.maps_ == 0).double().mean()) == pytest.approx(share)


def test_the_penalty_does_not_depend_on_the_signals_scale(world):
    first, second = (DictionaryLearning(6).fit(world[0] * scale) for scale in (1, 2**13))
    # a power of two is exact
    torch.testing.assert_close(first.maps_ * 2**13, second.maps_, rtol=1e-4, atol=1e-3)
    assert first.metrics_ == second.metrics_


def test_silent_neurons_are_in_no_network_and_do_not_move_the_penalty(world):
    signals, _ = world
    padded = torch.cat([signals, torch.full((600, 2000), 2.0)], dim=1)
    found = DictionaryLearning(6).fit(padded)
    assert (found.maps_[:, 1500:] == 0).all()
    alone = DictionaryLearning(6).fit(signals)
    assert matched_correlation(found.maps_[:, :1500], alone.maps_).min() > 0.99


def test_time_courses_are_the_least_squares_fit(world):
    found = DictionaryLearning(6).fit(world[0])
    centred = world[0].double() - world[0].double().mean(dim=0)
    exact = torch.linalg.lstsq(found.maps_.double().T, centred.T).solution.T
    torch.testing.assert_close(found.time_courses_, exact, atol=1e-5, rtol=0)


def test_a_penalty_that_leaves_nothing_is_an_error(world):
    with pytest.raises(MethodError, match=r"alpha is 10000.* no neuron in any network"):
        DictionaryLearning(6, alpha=1e4).fit(world[0])


def test_more_passes_are_not_taken_than_were_allowed(world):
    found = DictionaryLearning(6, epochs=1, batch_size=100).fit(world[0])
    assert found.metrics_["n_steps"] <= 15


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_penalty_out_of_range_is_refused_before_there_are_signals(value):
    with pytest.raises(ConfigError, match=f"method.alpha is {value}"):
        DictionaryLearning(n_components=3, alpha=value)


@pytest.mark.parametrize("field", ["tolerance", "epochs", "batch_size"])
def test_a_bound_of_the_solver_that_is_not_positive_is_refused(field):
    with pytest.raises(ConfigError, match=f"method.{field} is 0"):
        DictionaryLearning(n_components=3, **{field: 0})
