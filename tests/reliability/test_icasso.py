import pytest
import torch
from planted import matched_correlation, plant
from typing_extensions import override

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.config import Solver
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.random import RandomRotation
from fbn_exp.reliability.config import Cluster, Resample, Surrogate
from fbn_exp.reliability.icasso import Icasso, mean_overlap, unusual
from fbn_exp.thresholds.z import ZThreshold

TEXTS = Rows((100,) * 20)
RULE = ZThreshold(1.96)


@pytest.fixture(scope="module")
def world():
    return plant(2000, 300, 5, noise=0.3)


def assess(method, signals, texts=TEXTS, **options):
    settings = {"runs": 8, "rotations": 99, "splits": 1, **options}
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
    assert statistics["p_phase"].tolist() == pytest.approx([1 / 20] * 5)
    assert statistics["p_split_half"].tolist() == pytest.approx([1 / 100] * 5)
    assert (statistics["split_half_null_95"] < statistics["split_half"]).all()
    assert statistics["estimates"].tolist() == [8.0] * 5
    assert found.report_.metrics["subspace_cosine_smallest"] > 0.99
    assert found.report_.metrics["networks_p_phase_to_05"] == 5
    assert found.report_.clustered == "sources"


def test_masks_of_halves_are_compared_on_the_side_that_is_reported(world):
    # two-sided maps: which side has the heavier tail is decided by noise, and differs between halves
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
    assert "p_phase" not in found.report_.statistics


def test_an_arbitrary_rotation_is_not_reliable(world, planted_report):
    found = assess(RandomRotation(5), world[0])
    assert found.report_.metrics["iq_median"] < 0.6 < planted_report.report_.metrics["iq_median"]
    assert found.report_.metrics["mask_agreement_median"] < 0.5
    assert found.report_.statistics["p_phase"].min() > 0.05
    assert found.report_.statistics["p_split_half"].median() > 0.05


def test_networks_beyond_the_planted_ones_are_not_reliable(world):
    method = ICA(7, solver=Solver.fastica, max_iterations=60, max_starts=1)
    found = assess(method, world[0], surrogate=Surrogate.both)
    best = matched_correlation(found.maps_, world[1])
    assert best.min() > 0.99
    planted = torch.corrcoef(torch.cat([world[1], found.maps_]))[:5, 5:].abs().amax(dim=0) > 0.9
    statistics = found.report_.statistics
    assert planted.sum() == 5
    for name in ("p_phase", "p_shift"):
        assert statistics[name][planted].max() == pytest.approx(1 / 20)
        assert statistics[name][~planted].min() > 0.05
    assert statistics["iq"][planted].min() > 0.9 > 0.7 > statistics["iq"][~planted].max()
    assert [null.name for null in found.report_.nulls] == ["phase", "shift"]
    assert all(null.reproducibility.shape == (19, 7) for null in found.report_.nulls)


def test_p_values_of_what_covariance_alone_gives_are_not_small_under_the_phase_null(world):
    assert assess(PCA(5), world[0]).report_.statistics["p_phase"].min() > 0.05


def test_one_seed_is_one_result(world):
    before = world[0][:, :60].clone()
    signals = before.clone()
    first, again, other = (
        assess(
            ICA(5, seed=seed, solver=Solver.fastica, max_iterations=5, max_starts=1),
            signals,
            surrogate=Surrogate.shift,
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(signals, before)
    assert torch.equal(first.maps_, again.maps_)
    nulls = [fit.report_.nulls[0].reproducibility for fit in (first, again, other)]
    assert torch.equal(nulls[0], nulls[1])
    assert not torch.equal(nulls[0], nulls[2])


@pytest.mark.parametrize("null", [Surrogate.phase, Surrogate.shift])
def test_a_method_outside_the_subspace_is_fitted_again_in_every_run(world, null):
    signals = world[0][:, :120].clone()
    whole = assess(SameNetworks(3), signals, surrogate=null)
    inside = assess(PCA(3), signals, surrogate=null, cluster=Cluster.maps)
    assert torch.equal(signals, world[0][:, :120])
    assert whole.report_.clustered == inside.report_.clustered == "maps"
    assert matched_correlation(whole.maps_, inside.maps_).min() > 0.98
    assert whole.report_.statistics["iq"].tolist() == pytest.approx(
        inside.report_.statistics["iq"].tolist(), abs=0.15
    )
    assert whole.report_.nulls[0].reproducibility.shape == (19, 3)


def test_runs_that_do_not_converge_are_kept_and_counted(world):
    found = assess(ICA(5, max_iterations=1), world[0], surrogate=Surrogate.none)
    assert found.metrics_ == {"runs": 8.0, "runs_not_converged": 8.0, "clusters_of_maps": 0.0}
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


def test_nineteen_surrogates_are_the_least_and_the_default():
    assert Icasso().n_surrogates == 19
    assert Icasso(surrogates=40).n_surrogates == 40


def test_the_side_that_is_clustered_can_be_chosen():
    assert Icasso().clustered(PCA(3)) is Cluster.sources
    assert Icasso().clustered(SameNetworks(3)) is Cluster.maps
    assert Icasso(cluster=Cluster.maps).clustered(PCA(3)) is Cluster.maps
    assert Icasso(cluster=Cluster.sources).clustered(SameNetworks(3)) is Cluster.sources


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
        ({"runs": 2, "resample": Resample.texts}, "must be at least 3"),
        ({"surrogates": 18}, "reliability.surrogates is 18.*at least 19.*surrogate=none"),
        ({"rotations": 98}, "reliability.rotations is 98, must be at least 99"),
        ({"splits": 0}, "reliability.splits is 0"),
        ({"orders": [4, 0]}, "reliability.orders holds 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Icasso(**options)


def test_more_components_on_the_curve_than_the_signals_hold_are_refused(world):
    with pytest.raises(MethodError, match=r"400.*300 neurons"):
        assess(PCA(5), world[0], orders=[400])


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
