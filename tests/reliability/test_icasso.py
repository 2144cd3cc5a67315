import numpy as np
import pytest
import torch
from planted import matched_correlation, plant
from scipy.stats import kstest
from typing_extensions import override

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.random import RandomRotation
from fbn_exp.reliability.config import Resample, Surrogate
from fbn_exp.reliability.icasso import Icasso, mean_overlap, unusual
from fbn_exp.reliability.nulls import DESCRIPTIONS
from fbn_exp.reliability.split_half import aligned
from fbn_exp.thresholds.z import ZThreshold

TEXTS = Rows((100,) * 20)
RULE = ZThreshold(1.96)


@pytest.fixture(scope="module")
def world():
    return plant(2000, 300, 5, noise=0.3)


def assess(method, signals, texts=TEXTS, **options):
    settings = {"runs": 8, "surrogates": 6, **options}
    return Icasso(**settings).wrap(method, RULE).fit(signals, texts)


class SameNetworks(Decomposition):
    """Finds by another way than the subspace's mixing what PCA finds."""

    @override
    def _decompose(self, signals, rows, generator):
        assert len(rows) == len(signals)
        found = PCA(self.n_components).fit(signals)
        return Components(found.maps_, found.time_courses_, float(signals.var(dim=0).sum()) * len(signals))


@pytest.fixture(scope="module")
def planted_report(world):
    return assess(ICA(5, max_iterations=100), world[0])


def test_planted_networks_are_reliable_and_beyond_chance(world, planted_report):
    found = planted_report
    assert matched_correlation(found.maps_, world[1]).min() > 0.99
    statistics = found.report_.statistics
    for name in ("iq", "iq_starts", "iq_texts"):
        assert statistics[name].min() > 0.9
    assert statistics["reproducibility"].min() > 0.99
    assert statistics["split_half"].min() > 0.95
    assert statistics["p_value"].max() == pytest.approx(1 / 31)
    assert statistics["estimates"].tolist() == [8.0] * 5
    assert found.report_.metrics["subspace_cosine_smallest"] > 0.99
    assert found.report_.metrics["networks_q_below_05"] == 5


def test_masks_of_halves_are_compared_on_the_side_that_is_reported(world):
    # two-sided maps: which side has the peak is decided by noise, and differs between halves
    noise = torch.randn(world[0].shape, generator=torch.Generator().manual_seed(1))
    signals = torch.cat([world[0], noise - world[0]], dim=1)
    overlaps = []
    for seed in range(4):
        found = assess(ICA(5, seed=seed), signals, surrogate=Surrogate.none, resample=Resample.starts)
        overlaps += found.report_.statistics["split_half_overlap"].tolist()
    assert min(overlaps) > 0.4


def test_a_sign_that_runs_do_not_share_is_told(world):
    shared = assess(PCA(5), world[0], surrogate=Surrogate.none, resample=Resample.starts).report_.statistics
    assert shared["sign_agreement"].tolist() == [1.0] * 5
    turned = assess(RandomRotation(5), world[0], surrogate=Surrogate.none).report_.statistics
    assert 0 < turned["sign_agreement"].min() < 0.9


def test_aligned_maps_correlate_positively_with_their_reference():
    maps = torch.tensor([[1.0, 2.0, -5.0], [1.0, 2.0, -5.0], [1.0, 1.0, 1.0]])
    reference = torch.tensor([[2.0, 1.0, -9.0], [-2.0, -1.0, 9.0], [0.0, 1.0, 2.0]])
    signs = torch.tensor([1.0, -1.0, 1.0])[:, None]
    assert torch.equal(aligned(maps, reference), maps * signs)


def test_centrotypes_are_ordered_and_scaled_as_any_networks(world, planted_report):
    found = planted_report
    assert found.explained_variance_ratio_.diff().max() <= 0
    torch.testing.assert_close(found.time_courses_.std(dim=0, correction=0), torch.ones(5).double())
    alone = ICA(5).fit(world[0])
    norms = found.maps_.norm(dim=1).sort().values
    torch.testing.assert_close(norms, alone.maps_.norm(dim=1).sort().values, rtol=0.02, atol=0)
    assert found.explained_variance_ == pytest.approx(float(alone.explained_variance_ratio_.sum()), abs=1e-3)


def test_statistics_follow_the_order_of_the_networks(world):
    found = assess(RandomRotation(5), world[0], surrogate=Surrogate.none)
    labels, similar = found.report_.labels, found.report_.similarity
    for network in range(5):
        members = labels == network
        assert int(members.sum()) == found.report_.statistics["estimates"][network]
        inside = similar[members][:, members]
        count = len(inside)
        expected = (inside.sum() - count) / max(1, count * (count - 1)) - similar[members][:, ~members].mean()
        assert float(expected) == pytest.approx(float(found.report_.statistics["iq"][network]))
    assert "p_value" not in found.report_.statistics


def test_an_arbitrary_rotation_is_not_reliable(world, planted_report):
    found = assess(RandomRotation(5), world[0])
    assert found.report_.metrics["iq_median"] < 0.6 < planted_report.report_.metrics["iq_median"]
    assert found.report_.metrics["mask_agreement_median"] < 0.5
    assert found.report_.statistics["q_value"].min() > 0.05


@pytest.mark.parametrize("null", [Surrogate.phase, Surrogate.shift])
def test_noise_has_low_iq_and_uniform_p(null):
    p, iq = [], []
    for seed in range(14):
        noise = torch.randn(400, 60, generator=torch.Generator().manual_seed(seed))
        texts = Rows((20,) * 20)
        # in noise the fixed point wanders on: few steps are as good as many, and cheap
        method = ICA(6, seed=seed, max_iterations=15)
        statistics = assess(method, noise, texts, runs=4, surrogates=6, surrogate=null).report_.statistics
        p += statistics["p_value"].tolist()
        iq += statistics["iq"].tolist()
    assert np.median(iq) < 0.6
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert kstest(p, "uniform").pvalue > 0.05


def test_p_values_of_what_covariance_alone_gives_are_not_small_under_the_phase_null(world):
    assert assess(PCA(5), world[0]).report_.statistics["p_value"].min() > 0.05


def test_one_seed_is_one_result(world):
    signals = world[0].clone()
    first, again, other = (
        assess(ICA(5, seed=seed, max_iterations=40), signals, surrogate=Surrogate.shift, surrogates=1)
        for seed in (0, 0, 1)
    )
    assert torch.equal(signals, world[0])
    assert torch.equal(first.maps_, again.maps_)
    assert torch.equal(first.report_.null, again.report_.null)
    assert not torch.equal(first.report_.null, other.report_.null)


@pytest.mark.parametrize("null", [Surrogate.phase, Surrogate.shift])
def test_a_method_outside_the_subspace_is_fitted_again_in_every_run(world, null):
    signals = world[0][:, :120].clone()
    whole = assess(SameNetworks(3), signals, surrogates=2, surrogate=null)
    inside = assess(PCA(3), signals, surrogates=2, surrogate=null)
    assert torch.equal(signals, world[0][:, :120])
    assert matched_correlation(whole.maps_, inside.maps_).min() > 0.98
    assert whole.report_.statistics["iq"].tolist() == pytest.approx(
        inside.report_.statistics["iq"].tolist(), abs=0.15
    )
    assert whole.report_.null.shape == (6,)


def test_runs_that_do_not_converge_are_kept_and_counted(world):
    found = assess(ICA(5, max_iterations=1), world[0], surrogate=Surrogate.none)
    assert found.metrics_ == {"runs": 8.0, "runs_not_converged": 8.0}
    assert len(found.report_.labels) == 8 * 5


def test_the_model_order_curve_bends_where_the_planted_networks_end(world):
    found = assess(ICA(5, max_iterations=60), world[0], surrogate=Surrogate.none, orders=[8, 2, 5])
    curve = {int(row["n_components"]): row for row in found.report_.orders}
    assert list(curve) == [2, 5, 8]
    assert curve[5]["explained_variance"] > 0.95
    assert curve[8]["explained_variance"] - curve[5]["explained_variance"] < 0.01
    assert curve[5]["iq_smallest"] > 0.7 > curve[8]["iq_smallest"]


def test_one_kind_of_runs_has_one_iq(world):
    statistics = assess(
        PCA(5), world[0], resample=Resample.starts, surrogate=Surrogate.none
    ).report_.statistics
    assert "iq_starts" not in statistics
    assert statistics["iq"].min() > 0.99  # PCA knows no start


def test_one_text_cannot_be_resampled_or_split_but_has_starts(world):
    one = Rows((2000,))
    with pytest.raises(MethodError, match=r"draws texts, there is 1.*resample=starts"):
        assess(PCA(5), world[0], one)
    found = assess(PCA(5), world[0], one, resample=Resample.starts, surrogate=Surrogate.none)
    assert "split_half" not in found.report_.statistics


def test_as_many_surrogates_as_give_a_hundred_null_networks():
    assert Icasso().n_surrogates(10) == 10
    assert Icasso().n_surrogates(64) == 2
    assert Icasso(surrogates=3).n_surrogates(64) == 3
    assert Icasso(surrogate=Surrogate.none).n_surrogates(64) == 0


def test_networks_of_one_map_and_networks_that_few_runs_find_are_counted(world):
    assert unusual(torch.tensor([8, 16, 4, 12, 9, 3]), 8) == {"networks_merged": 2.0, "networks_rare": 2.0}
    found = assess(PCA(5), world[0], surrogate=Surrogate.none)
    assert found.report_.metrics["networks_merged"] == found.report_.metrics["networks_rare"] == 0


def test_overlap_of_masks_by_hand():
    masks = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]], dtype=torch.bool)
    assert mean_overlap(masks) == pytest.approx((1 / 2 + 2 / 3 + 1 / 3) / 3)
    assert mean_overlap(masks[:1]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 3}, "reliability.runs is 3, must be at least 4"),
        ({"runs": 1, "resample": Resample.texts}, "must be at least 2"),
        ({"surrogates": 0}, "reliability.surrogates is 0.*surrogate=none"),
        ({"orders": [4, 0]}, "reliability.orders holds 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Icasso(**options)


def test_more_components_on_the_curve_than_the_signals_hold_are_refused(world):
    with pytest.raises(MethodError, match=r"400.*300 neurons"):
        assess(PCA(5), world[0], orders=[400])


def test_every_null_has_words():
    assert DESCRIPTIONS.keys() == set(Surrogate)


def test_masks_are_compared_with_the_blocks_of_the_signals(world):
    layouts = []

    class Watched(ZThreshold):
        def masks(self, maps, layout=None):
            layouts.append(layout)
            return super().masks(maps, layout)

    layout = NeuronLayout.of(Site.mlp_output, ["first", "second"], [100, 200])
    method = Icasso(runs=4, surrogate=Surrogate.none).wrap(PCA(3), Watched(2.0))
    method.over(layout).fit(world[0], TEXTS)
    assert set(layouts) == {layout}
