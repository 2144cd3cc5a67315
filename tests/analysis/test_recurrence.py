import numpy as np
import pytest
import torch
from planted import chance_of_match
from scipy.stats import kstest

from fbn_exp.analysis.recurrence.comparison import NullComparison, compare, compared_with_texts
from fbn_exp.analysis.recurrence.matches import (
    Individual,
    Templates,
    individual_networks,
    matches,
    matches_of,
    shifted_networks,
    with_mean,
    with_total,
)
from fbn_exp.analysis.recurrence.nulls import Rotations, degree_null, mask_null, rotation_null
from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import skewness, tail_signs
from fbn_exp.methods.ica import ICA
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

N_TEXTS, LENGTH, WIDTH, N_NETWORKS = 12, 120, 100, 3
LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b", "c"], [WIDTH] * 3)
N_NEURONS = LAYOUT.n_neurons
ROWS = Rows((LENGTH,) * N_TEXTS, skipped=1)
METHOD = ICA(n_components=N_NETWORKS, max_starts=1)


def planted_maps(rng):
    """Three networks of 20 neurons, each in a block of its own."""
    maps = np.zeros((N_NETWORKS, N_NEURONS))
    for network in range(N_NETWORKS):
        maps[network, network * WIDTH + rng.permutation(WIDTH)[:20]] = 1
    return maps


def templates_of(maps, threshold, minimum_iou, align_signs=False):
    return Templates(FunctionalNetworks(maps, LAYOUT), threshold, minimum_iou, align_signs)


def texts_with(maps_of_text, rng):
    """Neurons outside all networks are as loud as members, but go together with nothing."""
    texts = []
    for text in range(N_TEXTS):
        maps = maps_of_text(text)
        alone = (maps.sum(axis=0) == 0) * rng.laplace(size=(LENGTH, N_NEURONS))
        texts.append(rng.laplace(size=(LENGTH, N_NETWORKS)) @ maps + alone)
    signals = np.concatenate(texts) + 0.2 * rng.standard_normal((N_TEXTS * LENGTH, N_NEURONS))
    return torch.from_numpy(signals).float()


def as_texts(*maps_of_texts):
    """Individual networks with these maps, and white time courses that do not matter."""
    return [Individual(maps, torch.eye(50, len(maps)).double(), True, False) for maps in maps_of_texts]


def compared(templates, signals, seed=0, draws=50):
    """Observed matches, and their comparison with every null."""
    rng = np.random.default_rng(seed)
    individual = individual_networks(signals, ROWS, METHOD)
    shifted = shifted_networks(signals, ROWS, METHOD, torch.Generator().manual_seed(seed))
    found = matches(templates, individual)
    drawn = {
        "masks": mask_null(templates, individual, draws, rng),
        "rotations": rotation_null(templates, individual, draws, rng),
        "degrees": degree_null(templates, individual, draws, rng),
    }
    return found, compare(found, drawn, {"shift": matches(templates, shifted)}, 500, rng)


def test_networks_that_recur_in_every_text_are_counted_and_exceed_every_null():
    rng = np.random.default_rng(0)
    maps = planted_maps(rng)
    templates = templates_of(torch.from_numpy(maps).float(), ZThreshold(), 0.2)
    signals = texts_with(lambda _: maps, rng)
    kept = signals.clone()
    found, nulls = compared(templates, signals)
    assert torch.equal(signals, kept)
    assert found.count.sum(axis=0).tolist() == [N_TEXTS] * 3
    assert found.recurring.sum() == N_TEXTS * N_NETWORKS
    assert found.iou.mean() > 0.9
    assert found.correlation.mean() > 0.9
    assert found.own_largest.mean() == 1
    for measure in ("count", "iou", "specificity"):
        assert set(nulls[measure]) == {"masks", "shift", "rotations", "degrees"}
        for name, null in nulls[measure].items():
            # rotations of maps without overlap mostly are one of them again, above a threshold
            if name != "rotations" and (measure, name) != ("count", "degrees"):
                assert null.p_value.max() < 0.02
                # no draw may have a match at all
                assert np.nan_to_num(null.effect[-1], nan=np.inf) > 5
    # with three disjoint templates an IoU of 0.2 is no more than a third of one, which any dealing out gives
    assert nulls["count"]["degrees"].p_value[-1] > 0.5
    assert nulls["correlation"]["rotations"].p_value[-1] == pytest.approx(1 / 51)
    assert nulls["count"]["masks"].expected[-1] < 5


def test_networks_of_each_text_alone_do_not_exceed_masks_of_their_sizes_and_blocks():
    rng = np.random.default_rng(1)
    templates = templates_of(torch.from_numpy(planted_maps(rng)).float(), ZThreshold(), 0.1)
    found, nulls = compared(templates, texts_with(lambda _: planted_maps(rng), rng))
    total, masks = found.count.sum(), nulls["count"]["masks"]
    # 20 of 100 neurons in the same block as the template, each by chance
    expected = N_TEXTS * N_NETWORKS * chance_of_match([20], [20], [WIDTH], 0.1)
    assert masks.expected[-1] == pytest.approx(expected, rel=0.1)
    assert total == pytest.approx(expected, abs=10)
    assert masks.p_value[-1] > 0.02


def test_networks_of_large_variance_alone_do_not_exceed_shifted_signals():
    rng = np.random.default_rng(2)
    loud = np.ones(N_NEURONS)
    loud[:10] = 30  # in every text the same neurons are loud, and nothing goes together
    signals = torch.from_numpy(loud * rng.laplace(size=(N_TEXTS * LENGTH, N_NEURONS))).float()
    template = torch.zeros(1, N_NEURONS)
    template[0, :10] = 1
    _, nulls = compared(templates_of(template, ZThreshold(), 0.2), signals)
    counts = nulls["count"]
    assert counts["masks"].p_value[0] < 0.02  # random masks would call this consistent
    assert counts["shift"].p_value[0] > 0.05
    assert counts["shift"].expected[0] > 10
    # as many loud neurons in each network, whichever they are
    assert counts["degrees"].p_value[0] > 0.02


def test_the_same_loud_neurons_in_every_network_are_no_recurrence_beyond_equal_degrees():
    rng = np.random.default_rng(5)
    loud = np.where(np.arange(N_NEURONS) < 60, 1.0, 0.02)
    masks = rng.random((20, 3, N_NEURONS)) < 0.6 * loud
    texts = as_texts(*torch.from_numpy(masks.astype(np.float32)))
    template = torch.from_numpy((rng.random((3, N_NEURONS)) < 0.6 * loud).astype(np.float32))
    templates = templates_of(template, ZThreshold(1.0), 0.2)
    found = matches(templates, texts)
    drawn = {
        "masks": mask_null(templates, texts, 99, rng),
        "degrees": degree_null(templates, texts, 99, rng),
    }
    nulls = compare(found, drawn, {}, 10, rng)
    assert nulls["iou"]["masks"].p_value[-1] == 0.01
    assert nulls["iou"]["degrees"].p_value[-1] > 0.05
    assert nulls["specificity"]["degrees"].p_value[-1] > 0.05


def test_p_values_of_equal_degrees_are_uniform_where_only_the_degrees_are_shared():
    rng = np.random.default_rng(6)
    loudness = rng.beta(0.3, 2, N_NEURONS)
    p_values = []
    for _ in range(40):
        masks = (rng.random((16, 2, N_NEURONS)) < loudness).astype(np.float32)
        texts = as_texts(*torch.from_numpy(masks[1:]))
        templates = templates_of(torch.from_numpy(masks[0]), ZThreshold(0.5), 0.2)
        drawn = {"degrees": degree_null(templates, texts, 19, rng)}
        nulls = compare(matches(templates, texts), drawn, {}, 1, rng)
        p_values.append(nulls["iou"]["degrees"].p_value[-1])
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert np.mean(np.array(p_values) <= 0.1) < 0.25


def two_tailed_maps(rng, n_maps):
    """Maps with 20 strong neurons on either side, so that chance decides which side is positive."""
    maps = 0.2 * rng.standard_normal((n_maps, N_NEURONS))
    for each in maps:
        strong = rng.permutation(N_NEURONS)[:40]
        each[strong[:20]] += 2
        each[strong[20:]] -= 2
    return torch.from_numpy(maps).float()


def test_networks_that_come_with_the_other_sign_recur_as_much_if_signs_are_aligned():
    rng = np.random.default_rng(12)
    maps = two_tailed_maps(rng, 3)
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=(30, 3, 1))).float()
    texts = as_texts(*(sign * maps for sign in signs))
    aligned, own = (
        matches(templates_of(maps, ZThreshold(), 0.2, align_signs), texts) for align_signs in (True, False)
    )
    assert aligned.iou.min() == 1
    assert aligned.count.sum() == 90
    assert aligned.own_largest.min() == 1
    assert own.count.sum() == (signs > 0).sum()
    # both poles have the same members by either sign
    both = templates_of(maps, ZThreshold(pole=Pole.both), 0.2, align_signs=True)
    assert both.signs == (1,)
    assert matches(both, texts).iou.min() == 1


def test_aligned_signs_find_no_recurrence_where_there_is_none():
    rng = np.random.default_rng(13)
    p_values = {"masks": [], "degrees": [], "rotations": []}
    for _ in range(40):
        templates = templates_of(two_tailed_maps(rng, 2), ZThreshold(), 0.1, align_signs=True)
        texts = as_texts(*(two_tailed_maps(rng, 2) for _ in range(6)))
        drawn = {
            "masks": mask_null(templates, texts, 19, rng),
            "degrees": degree_null(templates, texts, 19, rng),
            "rotations": rotation_null(templates, texts, 19, rng),
        }
        nulls = compare(matches(templates, texts), drawn, {}, 1, rng)
        for name, values in p_values.items():
            values.append(nulls["iou"][name].p_value[-1])
    for values in (p_values["masks"], p_values["degrees"]):
        assert kstest(values, "uniform").pvalue > 1e-3
    # rotations mix the strong neurons of several maps, and are no exact null of other maps' masks
    assert np.mean(np.array(p_values["rotations"]) <= 0.1) < 0.3


def test_a_subspace_that_recurs_without_its_networks_is_no_recurrence_beyond_rotations():
    rng = np.random.default_rng(7)
    basis = planted_maps(rng)
    turned = [np.linalg.qr(rng.standard_normal((3, 3)))[0] @ basis for _ in range(30)]
    maps = [torch.from_numpy(each).float() for each in turned]
    texts = as_texts(*(each * tail_signs(each)[:, None] for each in maps))
    templates = templates_of(torch.from_numpy(basis).float(), ZThreshold(), 0.2)
    found = matches(templates, texts)
    nulls = compare(found, {"rotations": rotation_null(templates, texts, 99, rng)}, {}, 10, rng)
    assert found.count.sum() > 20
    assert nulls["count"]["rotations"].p_value[-1] > 0.02
    assert nulls["correlation"]["rotations"].p_value[-1] > 0.02
    assert nulls["count"]["rotations"].expected[-1] == pytest.approx(found.count.sum(), rel=0.3)


def test_rotations_stay_in_the_span_and_keep_white_courses_white():
    rng = np.random.default_rng(8)
    signals = torch.from_numpy(rng.laplace(size=(LENGTH, 3)) @ rng.standard_normal((3, N_NEURONS))).float()
    (text,) = individual_networks(signals, Rows((LENGTH,), skipped=1), METHOD)
    maps = Rotations.of(text).draw(rng).double()
    courses = signals.double() - signals.double().mean(dim=0)
    turned = courses @ torch.linalg.pinv(maps)
    assert (turned.T @ turned / LENGTH).numpy() == pytest.approx(np.eye(3), abs=1e-3)
    assert (turned @ maps).numpy() == pytest.approx(courses.numpy(), abs=1e-3)
    assert (skewness(maps) > 0).all()


def test_maps_of_correlated_courses_are_rotated_as_uncorrelated_maps():
    rng = np.random.default_rng(9)
    maps = torch.from_numpy(rng.laplace(size=(3, N_NEURONS)) * [[1], [10], [100]]).float()
    courses = torch.from_numpy(rng.standard_normal((LENGTH, 1)) + rng.standard_normal((LENGTH, 3)))
    drawn = Rotations.of(Individual(maps, courses, None, False)).draw(rng)
    assert np.corrcoef(drawn.numpy()) == pytest.approx(np.eye(3), abs=1e-4)


def test_a_network_of_the_first_token_is_kept_and_the_others_are_rotated():
    rng = np.random.default_rng(10)
    maps = torch.from_numpy(rng.laplace(size=(3, N_NEURONS))).float()
    courses = torch.linalg.qr(torch.from_numpy(rng.standard_normal((LENGTH, 3)))).Q
    courses[:, 1] = torch.zeros(LENGTH)
    courses[0, 1], courses[0, [0, 2]] = 1.0, 0.0
    drawn = Rotations.of(Individual(maps, courses, True, True)).draw(rng)
    assert torch.equal(drawn[0], maps[1])
    assert len(drawn) == 3
    assert (drawn[1:] != maps[[0, 2]]).any()
    # the same row is no first token where those are left out
    assert not torch.equal(Rotations.of(Individual(maps, courses, True, False)).draw(rng)[0], maps[1])


def test_specificity_sets_the_own_template_beside_the_others():
    overlap = np.array([[0.6, 0.1], [0.2, 0.5], [0.1, 0.5]])
    found = matches_of([overlap], 0.3)
    # templates 0 and 1 (or 2, as much) have partners 0 and 1
    assert found.iou[0, 0] == 0.6
    assert found.specificity[0, 0] == pytest.approx(0.6 - 0.15)
    assert found.own_largest[0, 0] == 1
    assert sorted(found.own_largest[0, 1:]) == [0, 0.5]
    assert sorted(found.iou[0, 1:]) == [0, 0.5]
    assert found.count.tolist() == [[1, 1, 1]]
    assert found.recurring.tolist() == [2]


def test_effect_size_is_in_deviations_of_the_null_and_missing_without_any():
    drawn = np.array([[1.0, 0], [2, 0], [3, 0]])
    found = NullComparison.of(np.array([5.0, 4]), drawn, np.array([0.25, 0.25]))
    assert found.effect[0] == pytest.approx(3)
    assert found.ratio[0] == 2.5
    assert np.isnan([found.effect[1], found.ratio[1]]).all()


def test_effect_size_of_paired_texts_is_that_of_their_sum():
    rng = np.random.default_rng(11)
    null = rng.standard_normal((50, 1)) + 2
    found = compared_with_texts(null + 1, null, False, 4_000, rng)
    assert found.effect[0] == pytest.approx(50 / (null.std() * np.sqrt(50)), rel=0.05)


def test_the_mask_null_keeps_sizes_by_blocks():
    rng = np.random.default_rng(3)
    maps = torch.rand(4, N_NEURONS, generator=torch.Generator().manual_seed(0))
    maps[:, WIDTH:] *= 0.1  # the largest weights are all in the first block
    templates = templates_of(maps[:2], TopFraction(0.1), 0.1)
    assert block_shares(templates.masks, LAYOUT)[:, 0].tolist() == [1, 1]
    null = mask_null(templates, as_texts(*[maps[2:]] * 30), 20, rng)
    expected = 60 * chance_of_match([30, 0, 0], [30, 0, 0], [WIDTH] * 3, 0.1)
    counts = np.mean([each.count.sum(axis=0) for each in null], axis=0)
    assert counts == pytest.approx([expected] * 2, rel=0.1)


def test_a_text_that_cannot_be_decomposed_is_named():
    signals = torch.randn(20, N_NEURONS, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MethodError, match=r"text 1 of 2: .*analysis\.dataset\.min_tokens"):
        individual_networks(signals, Rows((18, 2)), METHOD)


def test_totals_and_means_come_last():
    assert with_total(np.array([[1.0, 2.0]])).tolist() == [[1, 2, 3]]
    assert with_mean(np.array([1.0, 2.0])).tolist() == [1, 2, 1.5]
