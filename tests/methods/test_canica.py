import warnings

import numpy as np
import pytest
import torch
from nibabel import Nifti1Image
from nilearn.decomposition import CanICA as NilearnCanICA
from planted import matched_correlation, plant_maps

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.canica import CanICA

GRID = (10, 15, 20)


@pytest.fixture(scope="module")
def world():
    """Five sparse maps in eight texts, with an offset of its own in each text."""
    signals, maps = plant_maps(n_tokens=320, n_neurons=3000, n_networks=5, noise=0.3)
    rows = Rows((40,) * 8)
    offsets = torch.randn(8, 3000, generator=torch.Generator().manual_seed(1))
    return signals + offsets[rows.text], rows, maps


def nilearn_maps(signals, rows, **options):
    """Maps (K, N) by nilearn, with every neuron a voxel and every text a subject."""
    everything = Nifti1Image(np.ones(GRID, dtype=np.int8), np.eye(4))
    images = []
    for text in rows.slices:
        own = signals[text].double()
        own = (own - own.mean(dim=0)).T.reshape(*GRID, -1)
        images.append(Nifti1Image(own.numpy(), np.eye(4)))
    plain = {"smoothing_fwhm": None, "standardize": None, "detrend": False, "threshold": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = NilearnCanICA(mask=everything, n_components=5, random_state=0, **plain, **options).fit(
            images
        )
    return torch.from_numpy(theirs.components_)


@pytest.mark.parametrize("cca", [True, False])
def test_networks_are_those_of_nilearn(world, cca):
    signals, rows, planted = world
    theirs = nilearn_maps(signals, rows, do_cca=cca)
    found = CanICA(5, cca=cca).fit(signals, rows)
    assert matched_correlation(found.maps_, theirs).min() > 0.999
    assert matched_correlation(found.maps_, planted).min() > 0.98


def test_with_cca_what_recurs_leads_and_without_what_is_strong(world):
    signals, _, planted = world
    # one text holds five strong maps of its own
    own, strong = plant_maps(n_tokens=40, n_neurons=3000, n_networks=5, noise=0, seed=9)
    mixed = torch.cat([signals, 20 * own])
    recurring, strongest = (CanICA(5, cca=cca).fit(mixed, Rows((40,) * 9)).maps_ for cca in (True, False))
    assert matched_correlation(recurring, planted).min() > 0.95
    assert matched_correlation(strongest, strong).min() > 0.95


def test_texts_matter(world):
    signals, _, planted = world
    # taken as one text, the offsets of texts are its strongest components
    assert matched_correlation(CanICA(5).fit(signals).maps_, planted).min() < 0.9


def test_a_text_shorter_than_k_gives_what_it_has():
    signals, planted = plant_maps(n_tokens=200, n_neurons=3000, n_networks=5, noise=0.2)
    rows = Rows((60, 1, 3, 0, 40, 2, 1, 50, 43))
    assert matched_correlation(CanICA(5).fit(signals, rows).maps_, planted).min() > 0.95


def test_texts_of_single_tokens_have_no_components():
    with pytest.raises(MethodError, match=r"n_components is 3, .* rank 0 in the principal components of"):
        CanICA(3).fit(torch.eye(20), Rows((1,) * 20))


def test_texts_without_enough_components_together_are_an_error():
    signals, _ = plant_maps(n_tokens=200, n_neurons=300, n_networks=4, noise=0)
    with pytest.raises(MethodError, match=r"n_components is 5, .* 300 neurons have rank 4 in"):
        CanICA(5).fit(signals, Rows((100, 100)))


def test_of_several_starts_the_sparsest_is_kept(world):
    signals, rows, _ = world
    # beside five maps there is only noise to separate: starts differ
    ratios = []
    for seed in range(4):
        one, ten = (
            CanICA(12, seed=seed, max_starts=n, max_iterations=50).fit(signals, rows) for n in (1, 10)
        )
        ratios.append(ten.metrics_["largest_l1"] / one.metrics_["largest_l1"])
    # the first of ten starts is the single one, which may be the sparsest
    assert max(ratios) < 1 + 1e-6
    assert min(ratios) < 0.999
    maps = ten.maps_.double() - ten.maps_.double().mean(dim=1, keepdim=True)
    l1 = (maps.abs().sum(dim=1) / torch.linalg.vector_norm(maps, dim=1)).max()
    assert ten.metrics_["largest_l1"] == pytest.approx(float(l1), rel=1e-5)


def test_time_courses_are_the_least_squares_fit(world):
    signals, rows, _ = world
    found = CanICA(5).fit(signals, rows)
    centred = signals.double() - signals.double().mean(dim=0)
    exact = torch.linalg.lstsq(found.maps_.double().T, centred.T).solution.T
    torch.testing.assert_close(found.time_courses_, exact, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tolerance", 0), ("tolerance", float("nan")), ("max_iterations", 0), ("max_starts", 0)],
)
def test_a_parameter_out_of_range_is_refused_before_there_are_signals(field, value):
    with pytest.raises(ConfigError, match=f"method.{field} is {value}"):
        CanICA(n_components=3, **{field: value})
