from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_conditions import plant_conditions
from scipy import stats

from fbn_exp.core.errors import ConfigError, MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.localizer.config import Contrast
from fbn_exp.methods.localizer.halves import agreement, spearman_brown
from fbn_exp.methods.localizer.method import Localizer
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.fdr import FalseDiscoveryRate
from fbn_exp.thresholds.top import TopFraction

TEXTS = {"words": 30, "sums": 30, "lines": 20}
MEMBERS = {"words": slice(0, 10), "sums": slice(10, 20)}
CONTRASTS = {
    "language": Contrast(["words"], ["sums", "lines"]),
    "numbers": Contrast(["sums"], ["words"]),
    "nothing": Contrast(["lines"], ["sums"]),
}


@pytest.fixture(scope="module")
def world():
    return plant_conditions(TEXTS, 300, MEMBERS, size=2.5)


@pytest.fixture(scope="module")
def found(world):
    return Localizer(contrasts=CONTRASTS).fit(*world)


def text_means(signals, rows, *labels):
    chosen = [text for text, label in enumerate(rows.labels) if label in labels]
    return np.stack([signals[rows.slices[text]].double().mean(dim=0).numpy() for text in chosen])


def networks_of(method):
    layout = NeuronLayout.of(Site.mlp_output, [f"block.{index}" for index in range(3)], [100] * 3)
    statistics = {name: values.tolist() for name, values in method.statistics_.items()}
    return FunctionalNetworks(method.maps_, layout, statistics, names=method.names_)


def test_planted_neurons_are_found_with_the_sign_of_the_contrast(found):
    assert found.names_ == ("language", "numbers", "nothing")
    assert set(found.maps_[0].topk(10).indices.tolist()) == set(range(10))
    assert set(found.maps_[1].topk(10).indices.tolist()) == set(range(10, 20))
    # against words, which have the largest weights of all, members of sums are up and those of words down
    assert set((-found.maps_[1]).topk(10).indices.tolist()) == set(range(10))


def test_maps_are_z_scores_of_welchs_t_over_texts(world, found):
    signals, rows = world
    one, other = text_means(signals, rows, "words"), text_means(signals, rows, "sums", "lines")
    expected = stats.ttest_ind(one, other, equal_var=False)
    z = networks_of(found).tested[0].numpy()
    np.testing.assert_allclose(2 * stats.norm.sf(np.abs(z)), expected.pvalue, rtol=1e-3)
    np.testing.assert_array_equal(np.sign(z), np.sign(expected.statistic))


def test_time_courses_are_those_of_the_maps_with_unit_variance(world, found):
    courses = found.time_courses_
    torch.testing.assert_close(courses.square().mean(dim=0), torch.ones(3).double())
    rows = world[1]
    of_words = torch.from_numpy(np.isin(np.array(rows.labels)[rows.text], ["words"]))
    assert courses[of_words, 0].mean() > courses[~of_words, 0].mean() + 0.5


def test_halves_of_the_texts_agree_about_what_is_there_only(found):
    statistics = {name: values.tolist() for name, values in found.statistics_.items()}
    assert statistics["texts_positive"] == [30, 30, 20]
    assert statistics["texts_negative"] == [50, 30, 30]
    assert min(statistics["split_half"][:2]) > 0.4
    assert statistics["p_split_half"][0] == statistics["p_split_half"][1] == 0.01
    assert statistics["spearman_brown"][0] == pytest.approx(spearman_brown(statistics["split_half"][0]))
    # members are three neurons, which differ by two and a half standard deviations
    assert statistics["effect_size"][0] > 2
    # lines differ from sums in the neurons of sums, which are down
    assert statistics["share_significant"][2] == 0


def test_halves_of_noise_agree_by_chance_and_their_p_is_calibrated():
    r, p, effects = [], [], []
    labels = torch.arange(24) % 2
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(24, 80, generator=generator, dtype=torch.float64)
        values -= values.mean(dim=0)
        result = agreement(values, labels == 0, labels, 3, 19, 0.05, generator)
        r.append(result.r)
        p.append(result.p)
        effects.append(result.effect_size)
    assert abs(np.mean(r)) < 0.03
    assert abs(np.mean(effects)) < 0.3
    assert np.mean(np.array(p) <= 0.05) <= 0.1


def test_a_false_discovery_rate_takes_the_p_values_of_the_tests(found):
    networks = networks_of(found)
    p = stats.norm.sf(networks.tested.numpy())
    expected = np.stack([stats.false_discovery_control(row) <= 0.05 for row in p])
    np.testing.assert_array_equal(networks.masks(FalseDiscoveryRate(0.05)).numpy(), expected)
    assert networks.masks(FalseDiscoveryRate(0.05))[0, :10].all()
    assert networks.masks(FalseDiscoveryRate(0.05, pole=Pole.negative))[1, :10].all()


def test_a_false_discovery_rate_is_controlled_where_nothing_differs():
    false = []
    for seed in range(40):
        signals, rows = plant_conditions({"a": 12, "b": 12}, 300, {}, seed=seed)
        method = Localizer(contrasts={"none": Contrast(["a"], ["b"])}, splits=1, permutations=19)
        networks = networks_of(method.fit(signals, rows))
        false.append(bool(networks.masks(FalseDiscoveryRate(0.05)).any()))
    assert np.mean(false) <= 0.15


def test_a_fraction_takes_the_largest_weights_whatever_their_scale(found):
    networks = networks_of(found)
    plain = replace(networks, statistics={})
    rule = TopFraction(0.02)
    assert torch.equal(networks.masks(rule), plain.masks(rule))


def test_saved_networks_keep_their_names_and_their_tests(found, tmp_path):
    networks = networks_of(found)
    networks.save(tmp_path / "networks")
    loaded = FunctionalNetworks.load(tmp_path / "networks")
    assert loaded.names == ("language", "numbers", "nothing")
    assert loaded.title(1) == "network 1 (numbers)"
    torch.testing.assert_close(loaded.tested, networks.tested)
    assert loaded.to_frame()["name"].tolist() == list(loaded.names)


def test_a_magnitude_finds_neurons_that_are_far_from_zero_on_either_side():
    signals, rows = plant_conditions({"a": 40, "b": 40}, 200, {})
    sign = torch.ones(len(signals))
    sign[rows.text % 2 == 1] = -1
    in_a = torch.from_numpy(rows.text < 40)
    signals[in_a, :5] += 3 * sign[in_a, None]
    contrast = {"far": Contrast(["a"], ["b"])}
    far = Localizer(contrasts=contrast, magnitude=True).fit(signals, rows)
    assert set(far.maps_[0].topk(5).indices.tolist()) == set(range(5))
    signed = Localizer(contrasts=contrast).fit(signals, rows)
    assert not set(signed.maps_[0].topk(5).indices.tolist()) & set(range(5))


def test_networks_are_the_same_with_the_same_seed(world):
    one, other = (Localizer(contrasts=CONTRASTS, seed=3).fit(*world) for _ in range(2))
    assert torch.equal(one.maps_, other.maps_)
    assert all(torch.equal(one.statistics_[name], other.statistics_[name]) for name in one.statistics_)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "compares texts by their labels, and these have none: take dataset=conditions"),
        ([None] * 80, "these have none"),
        (
            ["words"] * 40 + ["sums"] * 40,
            r"numbers.*no text is labelled lines; labels of the texts: sums, words",
        ),
        (
            ["words"] * 40 + ["sums"] * 37 + ["lines"] * 3,
            "only 3 texts are labelled lines, and halves .* need 4",
        ),
    ],
)
def test_texts_without_the_conditions_are_refused(world, labels, message):
    signals, rows = world
    method = Localizer(contrasts={"numbers": Contrast(["sums"], ["lines"])})
    with pytest.raises(MethodError, match=message):
        method.fit(signals, Rows(rows.lengths, 1, labels))


def test_signals_that_are_not_finite_are_refused(world):
    signals, rows = world
    broken = signals.clone()
    broken[7, 123] = float("nan")
    with pytest.raises(MethodError, match="not finite, in the column of neuron 123"):
        Localizer(contrasts=CONTRASTS).fit(broken, rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrasts": {}}, r"method\.contrasts is empty.*method/contrasts=\[language,math\]"),
        (
            {"contrasts": {"a": {"positive": ["x"], "negative": []}}},
            r"method\.contrasts\.a\.negative is \[\]",
        ),
        ({"contrasts": {"a": {"positive": "x", "negative": ["y"]}}}, r"positive is 'x', must be a list"),
        ({"contrasts": {"a": Contrast(["x", "y"], ["y"])}}, "has y on both sides"),
        ({"contrasts": CONTRASTS, "n_components": 5}, "n_components is 5, must be left out"),
        ({"contrasts": CONTRASTS, "per_block": True}, "per_block is True, must be false"),
        ({"contrasts": CONTRASTS, "permutations": 9}, "permutations is 9, must be at least 19"),
        ({"contrasts": CONTRASTS, "fraction": 1.0}, "fraction is 1.0, must be above 0 and below 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Localizer(**settings)
