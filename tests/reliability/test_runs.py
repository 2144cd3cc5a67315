import pytest
import torch
from planted import matched_correlation, plant

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.reliability.clusters import similarity
from fbn_exp.reliability.nulls import fits_of
from fbn_exp.reliability.runs import (
    SubspaceFits,
    WholeFits,
    changed,
    draw_texts,
    one_start,
    span,
)

TEXTS = Rows((100,) * 20)


@pytest.fixture(scope="module")
def low_rank():
    """Signals of rank 5, but for rounding."""
    return plant(2000, 300, 5, noise=0.0)[0]


def fits(method, signals):
    return fits_of(method, signals, TEXTS, torch.Generator().manual_seed(0))


def test_as_many_texts_are_drawn_as_have_rows():
    drawn = draw_texts(Rows([2, 0, 3, 2]), torch.Generator().manual_seed(1))
    assert len(drawn) == 3
    assert 1 not in drawn


@pytest.mark.parametrize("method", [ICA(5, tolerance=1e-8), PCA(5)])
def test_a_resampled_run_is_a_refit_to_the_drawn_rows(low_rank, method):
    drawn = draw_texts(TEXTS, torch.Generator().manual_seed(3))
    inside = fits(method, low_rank)
    run = inside.run(drawn, seed=4)
    refit = one_start(method).fit(low_rank[TEXTS.of_texts(drawn)])
    assert matched_correlation(inside.maps(run.weights), refit.maps_).min() > 0.9999
    other = fits(method, low_rank).run(None, seed=4)
    assert matched_correlation(inside.maps(other.weights), refit.maps_).min() < 0.9999


def test_products_of_directions_are_correlations_of_maps(low_rank):
    # a common offset of all neurons, so that centring over neurons matters
    inside = fits(PCA(5), low_rank + torch.randn(2000, 1, generator=torch.Generator().manual_seed(5)) * 30)
    run = inside.run(None, seed=0)
    exact = torch.corrcoef(inside.maps(run.weights).double()).abs()
    torch.testing.assert_close(similarity(run.directions), exact, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["inside", "whole"])
def test_networks_put_together_from_one_run_give_back_the_signals(low_rank, kind):
    method = ICA(5)
    made = fits(method, low_rank) if kind == "inside" else WholeFits(method, low_rank, TEXTS)
    run = made.run(None, seed=0)
    found = made.components([run] * 5, range(5))
    back = found.time_courses @ found.maps.double()
    torch.testing.assert_close(back, (low_rank - low_rank.mean(dim=0)).double(), atol=1e-3, rtol=0)
    assert made.explained(found.time_courses) == pytest.approx(1, abs=1e-5)


def test_shared_variance_is_counted_once(low_rank):
    made = fits(PCA(5), low_rank)
    run = made.run(None, seed=0)
    once = made.explained(made.components([run], [0]).time_courses)
    twice = made.components([run, run], [0, 0]).time_courses
    assert span(twice).shape[1] == 1
    assert made.explained(twice) == pytest.approx(once)
    whole = WholeFits(PCA(5), low_rank, TEXTS)
    assert whole.explained(twice) == pytest.approx(once, rel=1e-5)


def test_one_start_leaves_the_method_as_it_was():
    method = ICA(5, max_starts=7)
    assert one_start(method).max_starts == 1
    assert method.max_starts == 7
    assert not hasattr(method, "metrics_")


def test_a_changed_method_has_other_values_of_those_settings_that_it_has():
    method = PCA(5, seed=2)
    other = changed(method, n_components=3, max_starts=1)
    assert (other.n_components, other.seed, method.n_components) == (3, 2, 5)
    assert not hasattr(other, "max_starts")


def test_too_few_drawn_tokens_are_refused(low_rank):
    made = fits_of(PCA(5), low_rank, Rows((1,) * 2000), torch.Generator().manual_seed(0))
    assert isinstance(made, SubspaceFits)
    with pytest.raises(MethodError, match=r"hold 3 independent tokens for 5 components.*resample=starts"):
        made.run([0, 1, 2, 3, 3, 3], seed=0)
