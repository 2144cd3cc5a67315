import pytest
import torch
from planted import matched_correlation, plant

from fbn_exp.core.rows import Rows
from fbn_exp.methods.canica import CanICA
from fbn_exp.methods.config import Independence
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.spatial import makes_maps_independent
from fbn_exp.reliability.resampling import draw_texts
from fbn_exp.reliability.runs import (
    SubspaceFits,
    WholeFits,
    changed,
    fits_of,
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


@pytest.mark.parametrize("method", [ICA(5, tolerance=1e-8), PCA(5)])
def test_a_resampled_run_is_a_refit_to_the_drawn_rows(low_rank, method):
    drawn = tuple(draw_texts(TEXTS, torch.Generator().manual_seed(3)))
    inside = fits(method, low_rank)
    run = inside.run(one_start(method), drawn, seed=4)
    refit = one_start(method).fit(low_rank[TEXTS.of_texts(drawn)])
    assert matched_correlation(run.maps, refit.maps_).min() > 0.9999
    other = inside.run(one_start(method), None, seed=4)
    assert matched_correlation(other.maps, refit.maps_).min() < 0.9999


@pytest.mark.parametrize("kind", [SubspaceFits, WholeFits])
def test_sources_of_a_resampled_run_are_over_all_tokens(low_rank, kind):
    method = PCA(5)
    made = fits(method, low_rank) if kind is SubspaceFits else WholeFits(method, low_rank, TEXTS)
    run = made.run(method, (0, 0, 3, 7), seed=4)
    assert run.courses.shape == (2000, 5)
    torch.testing.assert_close(run.courses, least_squares_courses(low_rank, run.maps), atol=1e-3, rtol=1e-3)


def test_temporal_methods_have_sources_and_the_others_maps():
    assert not makes_maps_independent(ICA(5))
    assert not makes_maps_independent(PCA(5))
    assert makes_maps_independent(ICA(5, independence=Independence.spatial))
    assert makes_maps_independent(CanICA(5))


@pytest.mark.parametrize("kind", [SubspaceFits, WholeFits])
def test_networks_of_one_run_give_back_the_signals(low_rank, kind):
    method = ICA(5)
    made = fits(method, low_rank) if kind is SubspaceFits else WholeFits(method, low_rank, TEXTS)
    run = made.run(method, None, seed=0)
    back = run.courses @ run.maps.double()
    torch.testing.assert_close(back, (low_rank - low_rank.mean(dim=0)).double(), atol=1e-3, rtol=0)
    assert made.explained(run.courses) == pytest.approx(1, abs=1e-5)


def test_shared_variance_is_counted_once(low_rank):
    made = fits(PCA(5), low_rank)
    courses = made.run(PCA(5), None, seed=0).courses[:, :1]
    twice = courses.repeat(1, 2)
    assert span(twice).shape[1] == 1
    assert made.explained(twice) == pytest.approx(made.explained(courses))


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
