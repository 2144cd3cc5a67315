import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from hostile import altered, damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from fbn_exp.core.errors import LayoutError, NetworksError
from fbn_exp.core.files import sealed
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.files import SEAL
from fbn_exp.networks.folder import count_in
from fbn_exp.networks.masks import Direction, block_shares, directions, intersection_over_union
from fbn_exp.thresholds.fdr import FalseDiscoveryRate
from fbn_exp.thresholds.mixture import MixtureThreshold
from fbn_exp.thresholds.top import TopFraction
from fbn_exp.thresholds.z import ZThreshold

RULE = ZThreshold(1.5)


def lay_out(*widths: int, site: Site = Site.mlp_output, prefix: str = "layers") -> NeuronLayout:
    return NeuronLayout.of(site, [f"{prefix}.{index}.mlp" for index in range(len(widths))], widths)


def draw(n_networks: int = 3, widths=(4, 2, 5), seed: int = 0, **more) -> FunctionalNetworks:
    generator = torch.Generator().manual_seed(seed)
    layout = lay_out(*widths)
    shape = (n_networks, layout.n_neurons)
    filled = {
        "statistics": {"explained_variance_ratio": torch.rand(n_networks, generator=generator).tolist()},
        "neurons": {"mean_absolute": torch.rand(layout.n_neurons, generator=generator)},
        "provenance": {"model": "tiny", "weight_digest": "abc"},
    }
    return FunctionalNetworks(torch.randn(shape, generator=generator), layout, **{**filled, **more})


@pytest.fixture
def saved(tmp_path):
    draw().save(tmp_path / "run" / "networks", RULE)
    return tmp_path / "run" / "networks"


def edit(folder, **changes) -> None:
    file = folder / "networks.json"
    description = json.loads(file.read_text()) | changes
    del description["description_sha256"]
    file.write_text(json.dumps(sealed(description, SEAL)))


names = st.text("abcdefghijk_", min_size=1, max_size=8)
numbers = st.floats(width=64)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_loaded_is_bit_for_bit_what_was_saved(data, tmp_path_factory):
    n_networks = data.draw(st.integers(1, 5))
    widths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    plain = st.dictionaries(names, st.none() | st.booleans() | st.integers() | st.text() | st.lists(names))
    statistics = data.draw(
        st.dictionaries(names, st.lists(numbers, min_size=n_networks, max_size=n_networks))
    )
    neurons = {name: torch.randn(sum(widths)) for name in data.draw(st.sets(names, max_size=3))}
    provenance = data.draw(plain)
    networks = draw(n_networks, widths, statistics=statistics, neurons=neurons, provenance=provenance)
    folder = tmp_path_factory.mktemp("saved") / "networks"
    networks.save(folder, RULE)
    loaded = FunctionalNetworks.load(folder)
    assert loaded.maps.dtype is torch.float32
    assert torch.equal(loaded.maps, networks.maps)
    assert loaded.layout == networks.layout
    assert loaded.statistics.keys() == statistics.keys()
    for name, values in statistics.items():
        np.testing.assert_array_equal(loaded.statistics[name], values)
    assert loaded.neurons.keys() == neurons.keys()
    assert all(torch.equal(loaded.neurons[name], each) for name, each in neurons.items())
    assert loaded.provenance == provenance


def test_neurons_that_are_views_of_one_tensor_are_saved(tmp_path):
    moments = torch.randn(2, 11)
    shared = {"mean": moments[0], "spread": moments[1], "again": moments[0]}
    draw(neurons=shared).save(tmp_path / "networks", RULE)
    loaded = FunctionalNetworks.load(tmp_path / "networks").neurons
    assert all(torch.equal(loaded[name], each) for name, each in shared.items())


def test_maps_that_are_transposed_or_a_slice_are_saved(tmp_path):
    maps = torch.randn(11, 6).T[1:4]
    FunctionalNetworks(maps, lay_out(4, 7)).save(tmp_path / "networks", RULE)
    assert torch.equal(FunctionalNetworks.load(tmp_path / "networks").maps, maps)


def test_files_are_readable_by_plain_json_and_safetensors(saved):
    description = json.loads((saved / "networks.json").read_text())
    networks = draw()
    with safe_open(saved / "networks.safetensors", framework="np") as tensors:
        maps = tensors.get_tensor("maps")
    assert maps.dtype == np.float32
    assert np.array_equal(maps, networks.maps.numpy())
    assert description["shape"] == [3, 11]
    assert description["threshold"] == "z > 1.5, positive pole"
    assert [block["width"] for block in description["layout"]["blocks"]] == [4, 2, 5]
    masks = networks.masks(RULE)
    for index, summary in enumerate(description["networks"]):
        assert summary["size"] == int(masks[index].sum())
        assert summary["explained_variance_ratio"] == networks.statistics["explained_variance_ratio"][index]
        in_first = int(masks[index, :4].sum()) / max(1, summary["size"])
        assert summary["block_shares"][0] == pytest.approx(in_first, abs=1e-4)


def test_nothing_else_is_left_beside_the_folder(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["networks"]
    assert sorted(path.name for path in saved.iterdir()) == [
        "networks.json",
        "networks.safetensors",
        "neurons.json",
    ]


def test_an_existing_folder_is_replaced(saved):
    (saved / "old.txt").write_text("from before")
    newer = draw(seed=1)
    newer.save(saved, RULE)
    assert torch.equal(FunctionalNetworks.load(saved).maps, newer.maps)
    assert not (saved / "old.txt").exists()


def test_a_save_that_fails_leaves_the_old_networks_whole(saved):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    with pytest.raises(TypeError, match="not JSON serializable"):
        draw(seed=1, provenance={"model": object()}).save(saved, RULE)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["networks"]


def test_truncated_tensors_are_refused_by_path(saved):
    file = saved / "networks.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(NetworksError, match=f"{file} is truncated or changed"):
        FunctionalNetworks.load(saved)


@pytest.mark.parametrize("place", [3, 40, -1])
def test_one_changed_byte_is_refused_by_path(saved, place):
    file = saved / "networks.safetensors"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(NetworksError, match=f"{file} is truncated or changed"):
        FunctionalNetworks.load(saved)


@pytest.mark.parametrize("missing", ["networks.json", "networks.safetensors"])
def test_a_missing_file_is_named_with_its_folder(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(NetworksError, match=rf"{saved} .*{missing} is missing"):
        FunctionalNetworks.load(saved)


@pytest.mark.parametrize(
    "content",
    ["[]", "3", "null", "{}", '{"format": "fbn_exp networks 1"}', '{"format": "other", "sha256": ""}'],
)
def test_json_of_something_else_is_refused_by_path(saved, content):
    (saved / "networks.json").write_text(content)
    with pytest.raises(NetworksError, match=rf"{saved}/networks\.json was not written by this program"):
        FunctionalNetworks.load(saved)


@pytest.mark.parametrize("content", [b"", b'{"format": ', b"\xff\xfe{}", b"[" * 100_000])
def test_json_that_cannot_be_parsed_is_refused_by_path(saved, content):
    (saved / "networks.json").write_bytes(content)
    with pytest.raises(NetworksError, match=rf"{saved}/networks\.json is broken"):
        FunctionalNetworks.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": []},
        {"networks": "none"},
        {"networks": [1, 2, 3]},
        {"networks": [{"index": 0, "good": "much"}] * 3},
        {"networks": [{"index": 0, "good": 1}, {"index": 1}, {"index": 2}]},
        {"layout": None},
        {"layout": {"site": "nowhere", "blocks": []}},
        {"layout": {"site": "mlp_output", "blocks": ["layers.0.mlp"]}},
        {"layout": lay_out(4, 3).to_dict()},
        {"provenance": None},
    ],
)
def test_a_description_that_does_not_fit_is_refused_by_path(saved, changes):
    edit(saved, **changes)
    with pytest.raises(NetworksError, match=rf"{saved}/networks\.json is not a description of networks"):
        FunctionalNetworks.load(saved)


def test_every_change_of_the_description_is_noticed(saved):
    file = saved / "networks.json"
    description = json.loads(file.read_text())
    blocks = description["layout"]["blocks"]
    swapped = {**description["layout"], "blocks": [blocks[1], blocks[0], *blocks[2:]]}
    for changes in ({"layout": swapped}, {"provenance": {**description["provenance"], "weight_digest": "0"}}):
        file.write_text(json.dumps({**description, **changes}))
        with pytest.raises(NetworksError, match=r"networks\.json was changed after it was written"):
            FunctionalNetworks.load(saved)
    file.write_text(
        json.dumps({key: each for key, each in description.items() if key != "description_sha256"})
    )
    with pytest.raises(NetworksError, match=r"networks\.json was changed after it was written"):
        FunctionalNetworks.load(saved)


def test_networks_of_version_01_are_read_with_a_warning(saved, caplog):
    file = saved / "networks.json"
    description = json.loads(file.read_text())
    del description["description_sha256"]
    file.write_text(json.dumps({**description, "format": "fbn_exp networks 1"}))
    assert len(FunctionalNetworks.load(saved)) == 3
    assert "no digest shows whether it was changed" in caplog.text


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_maps_that_are_not_finite_are_refused(bad):
    maps = draw().maps.clone()
    maps[1, 2] = bad
    with pytest.raises(NetworksError, match="maps hold a number that is not finite"):
        dataclasses.replace(draw(), maps=maps)


def test_maps_and_statistics_of_another_type_or_length_are_refused():
    networks = draw()
    with pytest.raises(NetworksError, match="maps are complex64, must be float32"):
        dataclasses.replace(networks, maps=networks.maps.to(torch.complex64))
    with pytest.raises(NetworksError, match=r"mean has shape \(3,\), the layout has \d+ neurons"):
        dataclasses.replace(networks, neurons={"mean": torch.zeros(3)})


def test_tensors_that_are_not_safetensors_are_refused_though_their_digest_fits(saved):
    (saved / "networks.safetensors").write_bytes(b"pickle")
    edit(saved, sha256=hashlib.sha256(b"pickle").hexdigest())
    with pytest.raises(NetworksError, match=r"networks\.safetensors is not a safetensors file"):
        FunctionalNetworks.load(saved)


def test_tensors_without_maps_are_refused(saved):
    file = saved / "networks.safetensors"
    save_file({"weights": torch.zeros(3, 11)}, file)
    edit(saved, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(NetworksError, match="maps"):
        FunctionalNetworks.load(saved)


def test_a_run_folder_is_answered_with_the_folder_inside_it(saved):
    with pytest.raises(NetworksError, match=f"{saved.parent} holds no networks .*did you mean {saved}"):
        FunctionalNetworks.load(saved.parent)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NetworksError, match=f"{tmp_path / 'nowhere'} holds no networks") as caught:
        FunctionalNetworks.load(tmp_path / "nowhere")
    assert "did you mean" not in str(caught.value)


def test_maps_that_do_not_fit_the_layout_are_refused():
    with pytest.raises(NetworksError, match=r"maps have shape \(2, 7\), the layout has 6 neurons"):
        FunctionalNetworks(torch.zeros(2, 7), lay_out(4, 2))
    with pytest.raises(NetworksError, match=r"\(6,\)"):
        FunctionalNetworks(torch.zeros(6), lay_out(4, 2))


def test_another_layout_is_refused_with_both_sizes():
    networks = draw()
    networks.require_layout(lay_out(4, 2, 5), "tiny")
    with pytest.raises(LayoutError) as caught:
        networks.require_layout(lay_out(8, 8), "gpt2")
    message = str(caught.value)
    assert "tiny (1 × 4 + 1 × 2 + 1 × 5 neurons, mlp_output, from layers.0.mlp)" in message
    assert "gpt2 has 2 × 8 neurons, mlp_output" in message


@pytest.mark.parametrize("other", [{"site": Site.block_output}, {"prefix": "h"}])
def test_a_layout_of_equal_size_at_another_place_is_refused(other):
    with pytest.raises(LayoutError, match="extract again"):
        draw().require_layout(lay_out(4, 2, 5, **other), "tiny")


def test_other_weights_are_refused_by_the_models_names():
    networks = draw()
    networks.require_weights("abc", "tiny")
    with pytest.raises(NetworksError, match="from tiny with other weights than those of tuned"):
        networks.require_weights("abd", "tuned")
    with pytest.raises(NetworksError, match="another model"):
        draw(provenance={}).require_weights("abc", "tuned")


@pytest.mark.parametrize("rule", [RULE, TopFraction(0.2), FalseDiscoveryRate(0.3, pole="both")])
def test_masks_are_those_of_the_rule(rule):
    networks = draw(n_networks=4)
    masks = networks.masks(rule)
    assert len(networks) == 4
    assert masks.dtype is torch.bool
    assert torch.equal(masks, rule.masks(networks.maps, networks.layout))


@pytest.mark.parametrize("rule", [ZThreshold(1.5), TopFraction(0.1), FalseDiscoveryRate(0.05)])
def test_a_network_of_one_block_is_judged_among_the_neurons_of_its_block(rule):
    generator = torch.Generator().manual_seed(0)
    layout = lay_out(300, 200)
    first, second = torch.randn(2, 300, generator=generator), torch.randn(1, 200, generator=generator)
    first[:, 7], second[:, 9] = 20, 20
    maps = torch.zeros(3, 500)
    maps[[0, 2], :300], maps[1, 300:] = first, second
    masks = FunctionalNetworks(maps, layout, blocks=(0, 1, 0)).masks(rule)
    assert torch.equal(masks[[0, 2], :300], rule.masks(first))
    assert torch.equal(masks[1:2, 300:], rule.masks(second))
    assert masks[0, 7]
    assert masks[1, 309]
    assert not masks[[0, 2], 300:].any()
    assert not masks[1, :300].any()
    scores = FunctionalNetworks(maps, layout, blocks=(0, 1, 0)).z_scores()
    torch.testing.assert_close(scores[1, 300:].std(correction=0).item(), 1.0)
    assert not scores[1, :300].any()
    # among the zeros of the other blocks, far more would stand out
    if isinstance(rule, ZThreshold):
        assert masks.sum() < FunctionalNetworks(maps, layout).masks(rule).sum()


def test_blocks_of_networks_are_saved_and_loaded(tmp_path):
    draw(3, blocks=(2, 0, 2)).save(tmp_path / "networks", RULE)
    found = FunctionalNetworks.load(tmp_path / "networks")
    assert found.blocks == (2, 0, 2)
    assert found.statistics.keys() == {"explained_variance_ratio"}
    draw(3).save(tmp_path / "networks", RULE)
    assert FunctionalNetworks.load(tmp_path / "networks").blocks is None


@pytest.mark.parametrize("blocks", [(0, 1), (0, 1, 3), (0, 1, -1)])
def test_blocks_that_do_not_fit_networks_or_layout_are_refused(blocks):
    with pytest.raises(NetworksError, match="blocks"):
        draw(3, blocks=blocks)


def test_block_shares_by_hand_and_zero_for_an_empty_network():
    masks = torch.tensor([[1, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    shares = block_shares(masks, lay_out(2, 1, 3))
    assert shares.tolist() == [[0.25, 0, 0.75], [0, 1, 0], [0, 0, 0]]


def test_intersection_over_union_by_hand_and_zero_for_empty_masks():
    first = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]]).bool()
    second = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    assert intersection_over_union(first, second).tolist() == [[0.5, 1, 0, 0], [0, 0, 0, 0]]


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**31))
def test_intersection_over_union_is_that_of_sets(n_networks, n_neurons, seed):
    masks = torch.rand(n_networks, n_neurons, generator=torch.Generator().manual_seed(seed)) < 0.4
    found = intersection_over_union(masks, masks)
    sets = [set(row.nonzero()[:, 0].tolist()) for row in masks]
    for i, first in enumerate(sets):
        for j, second in enumerate(sets):
            expected = len(first & second) / len(first | second) if first | second else 0
            assert found[i, j] == pytest.approx(expected)


def usable(folder):
    """Networks that can be read, or None; all that a reader does with them works."""
    try:
        networks, said = FunctionalNetworks.load(folder), ""
    except NetworksError as error:
        networks, said = None, str(error)
    if networks is None:
        assert str(folder) in said
        return None
    networks.to_frame()
    assert repr(networks)
    return networks


@given(data=st.data())
def test_whatever_the_files_hold_networks_are_those_saved_or_an_error_that_names_the_folder(
    data, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("fuzzed") / "networks"
    draw().save(folder, RULE)
    file = folder / data.draw(st.sampled_from(["networks.json", "networks.safetensors"]))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    if (networks := usable(folder)) is not None:
        assert torch.equal(networks.maps, draw().maps)
        assert networks.provenance == draw().provenance


@given(data=st.data())
def test_a_description_with_a_digest_that_fits_is_usable_or_refused(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed") / "networks"
    draw(blocks=(0, 1, 2)).save(folder, RULE)
    file = folder / "networks.json"
    description = json.loads(file.read_text())
    del description["description_sha256"]
    file.write_text(json.dumps(sealed(data.draw(altered(description)), SEAL)))
    usable(folder)


@given(data=st.data())
def test_tensors_with_a_digest_that_fits_are_usable_or_refused(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed") / "networks"
    draw().save(folder, RULE)
    file = folder / "networks.safetensors"
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    edit(folder, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    usable(folder)


def test_members_go_where_weight_and_time_course_send_them():
    maps = torch.tensor([[3.0, -2, 0], [3, 2, 1], [-1, -2, 3], [1, 2, 3]])
    masks = torch.tensor([[1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]]).bool()
    found = directions(masks, maps)
    assert found == [Direction.both, Direction.up, Direction.down, Direction.none]
    assert [each.at(2.5) for each in found] == found
    assert [each.at(-2.5) for each in found] == [Direction.both, Direction.down, Direction.up, Direction.none]
    assert [each.at(0) for each in found] == [Direction.both] * 3 + [Direction.none]


def test_the_table_counts_members_of_either_sign_and_holds_the_tails():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3000, generator=generator)
    maps[0, :30], maps[0, 30:40] = 8, -8
    networks = FunctionalNetworks(maps, lay_out(1500, 1500))
    table = networks.to_frame(MixtureThreshold(pole="both"))
    assert table["members_up"].tolist() == [30, 0]
    assert table["members_down"].tolist() == [10, 0]
    assert table["positive_tail"].tolist() == [pytest.approx(0.01, rel=0.05), 0]
    assert table["negative_tail"].tolist() == [pytest.approx(1 / 300, rel=0.05), 0]
    assert not {"positive_tail", "negative_tail"} & set(networks.to_frame().columns)
    assert networks.to_frame(ZThreshold(3, pole="negative"))["members_up"].tolist() == [0, 0]


def test_the_number_of_networks_is_known_without_reading_them(tmp_path):
    draw(3).save(tmp_path / "networks", RULE)
    assert count_in(tmp_path / "networks") == 3
    (tmp_path / "networks" / "networks.json").write_text("{")
    assert count_in(tmp_path / "networks") is None
