"""Each block decomposed by itself."""

import logging

import pytest
import torch
from planted import matched_correlation, plant, plant_maps

from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.canica import CanICA
from fbn_exp.methods.config import Independence
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.per_block import PerBlock

WIDTHS = (300, 500, 200)
LAYOUT = NeuronLayout.of(Site.mlp_output, [f"layers.{index}.mlp" for index in range(3)], WIDTHS)


@pytest.fixture(scope="module")
def worlds():
    """Three blocks with sources of their own, of very different strength, and each block's maps."""
    return [
        (strength * signals, maps)
        for strength, (signals, maps) in zip(
            (1, 100, 0.1), (plant(1500, width, 4, noise=0.2, seed=width) for width in WIDTHS), strict=True
        )
    ]


@pytest.fixture(scope="module")
def signals(worlds):
    return torch.cat([signals for signals, _ in worlds], dim=1)


@pytest.fixture(scope="module")
def found(signals):
    return PerBlock(ICA(4), LAYOUT).fit(signals)


def test_every_block_has_its_networks_and_their_maps_are_0_outside(found):
    assert found.maps_.shape == (12, 1000)
    assert found.time_courses_.shape == (1500, 12)
    assert sorted(found.block_of_network_) == [0] * 4 + [1] * 4 + [2] * 4
    for row, index in zip(found.maps_, found.block_of_network_, strict=True):
        inside = torch.zeros(1000, dtype=torch.bool)
        inside[LAYOUT.blocks[index].columns] = True
        assert torch.equal(row != 0, inside)


def test_planted_networks_of_every_block_are_recovered_whatever_its_strength(found, worlds):
    for index, (_, planted) in enumerate(worlds):
        rows = [row for row, block in enumerate(found.block_of_network_) if block == index]
        own = found.maps_[rows][:, LAYOUT.blocks[index].columns]
        assert matched_correlation(own, planted).min() > 0.99


def test_a_block_has_the_networks_that_it_has_alone(found, signals):
    columns = LAYOUT.blocks[0].columns
    alone = ICA(4).fit(signals[:, columns])  # the first, so with the same random draws
    rows = [row for row, block in enumerate(found.block_of_network_) if block == 0]
    torch.testing.assert_close(found.maps_[rows][:, columns], alone.maps_)
    torch.testing.assert_close(found.time_courses_[:, rows], alone.time_courses_)


def test_networks_of_all_blocks_are_ordered_by_their_share_of_the_whole_models_variance(found, signals):
    exact = signals.double() - signals.double().mean(dim=0)
    ratio = found.explained_variance_ratio_
    assert (ratio.diff() <= 0).all()
    assert found.block_of_network_[:4] == (1, 1, 1, 1)
    left = (exact - found.time_courses_ @ found.maps_.double()).square().sum()
    assert found.explained_variance_ == pytest.approx(1 - float(left / exact.square().sum()), abs=1e-6)
    assert float(ratio.sum()) == pytest.approx(found.explained_variance_, abs=1e-6)


def test_texts_and_options_reach_the_method(worlds):
    rows = Rows((40,) * 8)
    parts = [plant_maps(320, width, 3, noise=0.1, seed=width) for width in WIDTHS]
    generator = torch.Generator().manual_seed(0)
    offsets = [5 * torch.randn(8, width, generator=generator)[rows.text] for width in WIDTHS]
    mixed = torch.cat([part + offset for (part, _), offset in zip(parts, offsets, strict=True)], dim=1)
    found = PerBlock(CanICA(3), LAYOUT).fit(mixed, rows)
    second = [network for network, block in enumerate(found.block_of_network_) if block == 1]
    own = found.maps_[second][:, LAYOUT.blocks[1].columns]
    assert matched_correlation(own, parts[1][1]).min() > 0.95
    spatial = PerBlock(ICA(3, independence=Independence.spatial), LAYOUT).fit(mixed)
    assert spatial.metrics_["spatial"] == 1


def test_metrics_are_means_over_blocks(found):
    assert found.metrics_["converged"] == 1
    assert (found.metrics_["blocks_decomposed"], found.metrics_["blocks_silent"]) == (3, 0)


def test_a_block_that_never_changes_has_no_networks_and_a_warning_names_it(signals, caplog):
    silenced = signals.clone()
    silenced[:, LAYOUT.blocks[1].columns] = 0.1
    with caplog.at_level(logging.WARNING):
        found = PerBlock(PCA(4), LAYOUT).fit(silenced)
    assert "block 1 (layers.1.mlp) never change" in caplog.text
    assert sorted(found.block_of_network_) == [0] * 4 + [2] * 4
    assert (found.metrics_["blocks_decomposed"], found.metrics_["blocks_silent"]) == (2, 1)


def test_signals_that_never_change_are_an_error():
    with pytest.raises(MethodError, match="never change in any block: rank 0"):
        PerBlock(PCA(1), LAYOUT).fit(torch.zeros(50, 1000))


@pytest.mark.parametrize(
    ("n_components", "change", "message"),
    [
        (201, lambda values: values, r"block 2 \(layers.2.mlp\): .* is 201, .* hold at most 200 "),
        (
            5,
            lambda values: values[:, :300].copy_(values[:, :1] * torch.arange(1.0, 301)),
            r"block 0 .* rank 1",
        ),
        (4, lambda values: values[3, 310].fill_(float("nan")), r"block 1 .* not finite.* neuron 10$"),
    ],
)
def test_an_error_names_its_block(signals, n_components, change, message):
    changed = signals.clone()
    change(changed)
    with pytest.raises(MethodError, match=message):
        PerBlock(PCA(n_components), LAYOUT).fit(changed)


def test_the_same_seed_gives_the_same_bits(found, signals):
    again = PerBlock(ICA(4), LAYOUT).fit(signals)
    assert torch.equal(again.maps_, found.maps_)
    assert again.block_of_network_ == found.block_of_network_
