import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import NeuronLayout, Site

widths = st.lists(st.integers(1, 10_000), min_size=1, max_size=40)


def layout_of(widths, site=Site.mlp_output, tokens_first=False):
    return NeuronLayout.of(site, [f"blocks.{i}.mlp" for i in range(len(widths))], widths, tokens_first)


@given(widths)
def test_columns_tile_all_neurons_without_gap_or_overlap(widths):
    layout = layout_of(widths)
    ends = [block.columns.stop for block in layout.blocks]
    assert [block.columns.start for block in layout.blocks] == [0, *ends[:-1]]
    assert ends[-1] == layout.n_neurons == sum(widths)


@given(widths, st.data())
def test_a_located_neuron_is_in_its_blocks_columns(widths, data):
    layout = layout_of(widths)
    neuron = data.draw(st.integers(0, layout.n_neurons - 1))
    index, within = layout.locate(neuron)
    assert range(layout.n_neurons)[layout.blocks[index].columns][within] == neuron


@pytest.mark.parametrize("neuron", [-1, 5, 6])
def test_a_neuron_outside_the_layout_is_an_error_with_its_size(neuron):
    with pytest.raises(LayoutError, match=f"neuron {neuron} .* has 5 neurons"):
        layout_of([2, 3]).locate(neuron)


@given(widths, st.sampled_from(Site), st.booleans())
def test_json_keeps_the_whole_layout(widths, site, tokens_first):
    layout = layout_of(widths, site, tokens_first)
    assert NeuronLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ([576] * 30, "30 × 576 neurons, mlp_output"),
        ([1024, 2048, 1024], "2 × 1,024 + 1 × 2,048 neurons, mlp_output"),
    ],
)
def test_size_in_words(widths, words):
    assert layout_of(widths).describe() == words


@pytest.mark.parametrize("site", Site)
def test_only_the_hidden_layer_is_read_from_a_modules_input(site):
    assert layout_of([4], site).reads_input == (site is Site.mlp_hidden)


def test_a_path_without_width_is_refused():
    with pytest.raises(ValueError, match="zip"):
        NeuronLayout.of(Site.mlp_output, ["a", "b"], [3])
