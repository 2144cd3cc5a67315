from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.sae import SparseAutoencoder

N_TEXTS, TOKENS = 20, 60
ROWS = Rows((TOKENS,) * N_TEXTS)
# quick on signals of so few dimensions
small = partial(SparseAutoencoder, components=20, steps=300, batch_size=128)


def plant_latents(n_latents=8, n_neurons=300, noise=0.05, seed=0):
    """Signals of latents above 0 at one token in eight and 0 elsewhere, their maps, and the latents."""
    rng = np.random.default_rng(seed)
    shape = (N_TEXTS * TOKENS, n_latents)
    latents = rng.gamma(4, 0.5, shape) * (rng.uniform(size=shape) < 1 / 8)
    maps = rng.standard_normal((n_latents, n_neurons))
    signals = latents @ maps + noise * rng.standard_normal((len(latents), n_neurons)) + 1
    return tuple(torch.from_numpy(each).float() for each in (signals, maps, latents))


def matched(found, planted):
    """r of each planted row with the found one that the best one-to-one matching gives it; signs count."""
    table = np.corrcoef(planted.numpy(), found.numpy())[: len(planted), len(planted) :]
    return table[linear_sum_assignment(table, maximize=True)]


@pytest.fixture(scope="module")
def world():
    return plant_latents()


@pytest.fixture(scope="module")
def fitted(world):
    return small(8, active=2).fit(world[0], ROWS)


def test_planted_latents_are_recovered_with_their_sign(world, fitted):
    _, maps, latents = world
    assert matched(fitted.maps_, maps).min() > 0.95
    assert matched(fitted.time_courses_.T, latents.T).min() > 0.9
    # a map whose heavier tail is negative stays as it is: the latent takes that neuron down
    assert (maps.amin(dim=1).abs() > maps.amax(dim=1)).any()


def test_principal_components_are_not_those_latents(world):
    assert matched(PCA(8).fit(world[0]).maps_, world[1]).min() < 0.9


def test_time_courses_are_latents_that_are_off_at_most_tokens(fitted):
    off = fitted.time_courses_.amin(dim=0)
    at_rest = (fitted.time_courses_ < off + 1e-9).double().mean(dim=0)
    torch.testing.assert_close(1 - at_rest, fitted.statistics_["active_share"], atol=1e-9, rtol=0)
    assert fitted.statistics_["active_share"].quantile(0.5) < 0.2
    assert fitted.metrics_["latents_per_token"] == pytest.approx(
        float(fitted.statistics_["active_share"].sum())
    )


def test_no_more_latents_than_allowed_are_active_at_a_token(world):
    found = small(8, active=1, steps=20).fit(world[0], ROWS)
    courses = found.time_courses_
    assert ((courses > courses.amin(dim=0) + 1e-9).sum(dim=1) <= 1).all()


def test_the_share_of_variance_in_held_out_texts_is_that_of_a_decoder_of_the_other_texts(world):
    signals, _, _ = world
    found = small(8, active=4, held_out=0.25, steps=20).fit(signals, ROWS)
    n = 15 * TOKENS
    latents, exact = found.time_courses_, signals.double()
    with_one = torch.cat([latents, torch.ones(len(latents), 1).double()], dim=1)
    decoder = torch.linalg.lstsq(with_one[:n], exact[:n]).solution
    held = exact[n:] - exact[:n].mean(dim=0)
    left = exact[n:] - with_one[n:] @ decoder
    share = 1 - float(left.square().sum() / held.square().sum())
    assert found.metrics_["held_out_variance"] == pytest.approx(share, abs=1e-5)
    principal = torch.linalg.svd(exact[:n] - exact[:n].mean(dim=0), full_matrices=False).Vh[:8]
    most = float((held @ principal.T).square().sum() / held.square().sum())
    assert found.metrics_["held_out_pca"] == pytest.approx(most, abs=1e-5)
    assert 0.5 < share < most


def test_held_out_texts_are_not_trained_on(world):
    signals, _, _ = world
    changed = signals.clone()
    changed[18 * TOKENS :] = changed[18 * TOKENS :].flip(1)
    fits = [small(8, steps=20).fit(each, ROWS) for each in (signals, changed)]
    courses = [each.time_courses_[: 18 * TOKENS] for each in fits]
    # scale and order follow from all tokens, the latents do not
    assert matched(courses[0].T, courses[1].T).min() > 1 - 1e-9


@pytest.mark.parametrize("rows", [None, Rows((TOKENS * N_TEXTS,))])
def test_a_single_text_is_trained_on_as_a_whole(world, rows):
    assert "held_out_variance" not in small(8, steps=10).fit(world[0], rows).metrics_


def test_dead_latents_are_counted_and_have_empty_maps():
    signals, _, _ = plant_latents(n_latents=2, noise=0)
    found = small(30, active=2, auxiliary=0, steps=50).fit(signals, ROWS)
    dead = found.statistics_["active_share"] == 0
    assert found.metrics_["dead_latents"] == int(dead.sum()) > 0
    assert (found.maps_[dead] == 0).all()
    assert (found.maps_[~dead].abs().amax(dim=1) > 0).all()


def test_the_auxiliary_loss_leaves_fewer_dead():
    signals, _, _ = plant_latents(n_latents=16, noise=0.3)
    settings = {"active": 2, "learning_rate": 0.03, "steps": 150}
    fits = [small(48, auxiliary=weight, **settings).fit(signals, ROWS) for weight in (0, 1)]
    dead = [each.metrics_["dead_latents"] for each in fits]
    assert dead[1] < dead[0]


def test_more_latents_than_rank_or_neurons_are_allowed():
    signals, _, _ = plant_latents(n_latents=4, n_neurons=12, noise=0)
    found = small(20, active=3).fit(signals, ROWS)
    assert found.maps_.shape == (20, 12)
    assert found.explained_variance_ == pytest.approx(1, abs=0.1)


def test_no_fewer_latents_than_tokens_are_refused():
    with pytest.raises(MethodError, match=r"n_components is 10, .* hold at most 9 components"):
        small(10).fit(torch.randn(10, 50))


def test_another_seed_is_another_start(world):
    found = [small(8, seed=seed, steps=10).fit(world[0]).maps_ for seed in (0, 1)]
    assert not torch.equal(*found)


def test_the_number_of_threads_changes_nothing_that_matters(world):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(small(8, steps=20).fit(world[0], ROWS).maps_)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_the_scale_of_the_signals_changes_nothing(world, fitted):
    # a power of two is exact
    scaled = small(8, active=2).fit(world[0] * 2**10, ROWS)
    torch.testing.assert_close(scaled.maps_, fitted.maps_ * 2**10, rtol=1e-4, atol=1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"active": 0}, "method.active is 0"),
        ({"active": 9}, "method.active is 9, must be at most method.n_components, 8"),
        ({"components": 0}, "method.components is 0"),
        ({"steps": 0}, "method.steps is 0"),
        ({"batch_size": 0}, "method.batch_size is 0"),
        ({"learning_rate": 0.0}, "method.learning_rate is 0"),
        ({"learning_rate": float("nan")}, "method.learning_rate is nan"),
        ({"auxiliary": -1.0}, "method.auxiliary is -1"),
        ({"held_out": 1.0}, "method.held_out is 1"),
        ({"held_out": -0.1}, "method.held_out is -0.1"),
    ],
)
def test_a_setting_out_of_range_is_refused_before_there_are_signals(settings, says):
    with pytest.raises(ConfigError, match=says):
        SparseAutoencoder(8, **settings)
