import warnings

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from fbn_exp.core.errors import ConfigError
from fbn_exp.core.files import save_figures
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.config import FiguresConfig
from fbn_exp.report.figures.networks import WIDEST, blocks_by_neurons, network_figures, network_map, overview
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

ALWAYS = {"overview", "overlap", "block_shares"}
NOTHING = ZThreshold(1e9)


def lay_out(*widths: int) -> NeuronLayout:
    return NeuronLayout.of(Site.mlp_output, [f"layers.{index}.mlp" for index in range(len(widths))], widths)


def draw(n_networks: int, widths, folder, threshold: Threshold = NOTHING, max_networks: int = 3):
    layout = lay_out(*widths)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(n_networks, layout.n_neurons, generator=generator)
    explained = {"explained_variance_ratio": [0.5 / (1 + index) for index in range(n_networks)]}
    networks = FunctionalNetworks(maps, layout, explained)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return save_figures(network_figures(networks, threshold, max_networks), folder, dpi=20)


@pytest.mark.parametrize(
    ("n_networks", "widths", "threshold"),
    [
        (1, (1,), ZThreshold(1.0)),
        (10, (8, 3, 12), TopFraction(1.0)),
        (40, (5,) * 20, NOTHING),
        (2, (WIDEST + 1, 5, 2 * WIDEST), TopFraction(0.01)),
    ],
)
def test_every_picture_is_drawn_without_a_warning(n_networks, widths, threshold, tmp_path):
    files = draw(n_networks, widths, tmp_path / "run" / "figures", threshold)
    maps = {f"network_{index:03d}" for index in range(min(n_networks, 3))}
    # the table on the console lists the sizes of twenty
    assert files.keys() == ALWAYS | maps | ({"sizes"} if n_networks > 20 else set())
    for name, file in files.items():
        assert file == tmp_path / "run" / "figures" / f"{name}.png"
        assert np.ptp(imread(file)[..., :3]) > 0.5  # something other than an empty page
    assert sorted(tmp_path.rglob("*.*")) == sorted(files.values())


def test_no_map_is_drawn_where_none_is_wanted(tmp_path):
    assert draw(4, (8, 8), tmp_path, max_networks=0).keys() == ALWAYS


def test_networks_of_equal_weights_and_unknown_variance_are_drawn(tmp_path):
    networks = FunctionalNetworks(torch.ones(2, 8), lay_out(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = network_figures(networks, ZThreshold(1.0), max_networks=1)
        assert "network_000" in save_figures(figures, tmp_path, dpi=20)


def test_a_map_shows_the_weights_and_circles_the_members_where_they_are():
    layout = lay_out(8, 4, 8)
    scores = torch.arange(20.0)
    members = [3, 9, 11, 19]
    mask = torch.zeros(20, dtype=torch.bool).index_fill_(0, torch.tensor(members), True)
    picture = network_map(scores, mask, layout, "network 7", 0.123, "z > 2")
    axes, shares = picture.axes[:2]
    np.testing.assert_array_equal(axes.images[0].get_array(), blocks_by_neurons(scores, layout))
    assert axes.collections[0].get_offsets().tolist() == [[3, 0], [1, 1], [3, 1], [7, 2]]
    assert [bar.get_width() for bar in shares.patches] == [25, 50, 25]
    assert shares.yaxis.get_tick_params()["labelleft"]
    assert "network 7: 4 neurons (20.00%), 12.3% of the variance" in axes.get_title()
    picture.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()][1:-1] == ["0", "1", "2"]


def test_rows_of_the_map_are_blocks_and_narrow_blocks_end_in_nan():
    image = blocks_by_neurons(torch.arange(9.0), lay_out(3, 2, 4))
    np.testing.assert_array_equal(image, [[0, 1, 2, np.nan], [3, 4, np.nan, np.nan], [5, 6, 7, 8]])


@pytest.mark.parametrize("weight", [5.0, -5.0])
@pytest.mark.parametrize("width", [WIDEST, WIDEST + 1, 2 * WIDEST, 4 * WIDEST - 3])
@pytest.mark.parametrize("place", [0, 1_000, -1])
def test_one_outstanding_neuron_of_a_wide_block_stays_visible_where_it_is(width, place, weight):
    values = torch.full((2 * width,), 0.1)
    neuron = place % width
    values[width + neuron] = weight
    image = blocks_by_neurons(values, lay_out(width, width))
    pool = -(-width // WIDEST)
    assert image.shape[1] <= WIDEST
    assert image[1, neuron // pool] == pytest.approx(weight)
    assert np.sum(np.abs(image) > 1) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_networks", -1), ("dpi", 0), ("strongest_tokens", -1), ("context_tokens", -1)],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    FiguresConfig(max_networks=0, dpi=1, strongest_tokens=0, context_tokens=0)
    with pytest.raises(ConfigError, match=rf"figures\.{field} is {value}"):
        FiguresConfig(**{field: value})


def test_the_overview_shows_every_weight_and_members_beside_them():
    layout = lay_out(8, 4, 8)
    scores, masks = torch.arange(20.0)[None], torch.zeros(1, 20, dtype=torch.bool)
    masks[0, [3, 9, 11, 19]] = True
    axes, bar = overview(scores, masks, layout, "z > 2", ["network 0"] * len(scores)).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), blocks_by_neurons(scores[0], layout))
    assert not axes.collections
    (beside,) = axes.child_axes
    assert [each.get_width() for each in beside.patches] == [0.25, 0.5, 0.25]
    assert bar.get_ylabel() == "weight, z-score"
