import json

import pytest
import torch
from hostile import damaged
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.lesions import keep_lesions, known_lesions, lesion_folder, networks_digest
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.config import ControlKind
from fbn_exp.networks.artifact import FunctionalNetworks

LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b"], [3, 3])


def networks(maps=None, weights="w") -> FunctionalNetworks:
    found = torch.arange(12.0).view(2, 6) if maps is None else maps
    return FunctionalNetworks(found, LAYOUT, {}, {}, {"weight_digest": weights})


def comparison(value: float, metric: str = "accuracy"):
    def score(mean):
        return Score("tales", metric, mean, 0.1, 4, True)

    drawn = {ControlKind.random: [[score(0.6)], [score(0.8)]], ControlKind.per_block: [[score(0.7)]]}
    return compare([score(value)], [score(0.9)], drawn)


def test_a_lesion_is_found_again_with_its_difference_and_controls(tmp_path):
    folder = lesion_folder(networks(), tmp_path)
    keep_lesions(comparison(0.4), 1, 33, "z > 2", {"seed": 0}, folder)
    (found,) = known_lesions(lesion_folder(networks(), tmp_path))
    assert (found["network"], found["neurons"], found["threshold"]) == (1, 33, "z > 2")
    assert (found["task"], found["metric"], found["n"], found["controls"]) == ("tales", "accuracy", 4, 3)
    assert found["delta"] == pytest.approx(-0.5)
    assert found["control_delta"] == pytest.approx(-0.2)


def test_the_same_lesion_scored_again_replaces_it_and_another_is_added(tmp_path):
    keep_lesions(comparison(0.4), 1, 33, "z > 2", {"seed": 0}, tmp_path)
    keep_lesions(comparison(0.5), 1, 33, "z > 2", {"seed": 0}, tmp_path)
    assert [each["value"] for each in known_lesions(tmp_path)] == [0.5]
    keep_lesions(comparison(0.6), 0, 33, "z > 2", {"seed": 0}, tmp_path)
    keep_lesions(comparison(0.7), 1, 40, "z > 1", {"seed": 0}, tmp_path)
    keep_lesions(comparison(0.8, "f1"), 1, 33, "z > 2", {"seed": 0}, tmp_path)
    keep_lesions(comparison(0.9), 1, 33, "z > 2", {"seed": 1}, tmp_path)
    assert sorted(each["value"] for each in known_lesions(tmp_path)) == [0.5, 0.6, 0.7, 0.8, 0.9]


def test_generated_texts_are_kept_once_a_task_beside_the_untouched_and_a_control(tmp_path):
    def score(metric, *texts):
        return Score("stories", metric, 0.5, 0.1, 4, True, texts=texts)

    drawn = {ControlKind.random: [[score(name, "c" * 900, "d", "e", "f") for name in ("distinct", "length")]]}
    metrics = [[score(name, *texts) for name in ("distinct", "length")] for texts in ("xyzw", "stuv")]
    keep_lesions(compare(*metrics, drawn), 1, 33, "z > 2", {}, tmp_path)
    distinct, length = known_lesions(tmp_path)
    assert distinct["texts"][1:] == [
        {"untouched": "t", "lesion": "y", "control": "d"},
        {"untouched": "u", "lesion": "z", "control": "e"},
    ]
    assert distinct["texts"][0]["control"] == "c" * 600
    assert length["texts"] == []


def test_other_maps_or_weights_are_other_networks():
    changed = torch.arange(12.0).view(2, 6)
    changed[0, 0] = 1e-30
    digests = {networks_digest(each) for each in (networks(), networks(changed), networks(weights="v"))}
    assert len(digests) == 3
    assert networks_digest(networks()) == networks_digest(networks(networks().maps.clone()))


def test_what_is_no_record_is_passed_over_and_said(tmp_path, caplog):
    keep_lesions(comparison(0.4), 1, 33, "z > 2", {}, tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text(json.dumps({"network": 1}))
    assert len(known_lesions(tmp_path)) == 1
    assert "broken.json" in caplog.text
    assert "other.json" in caplog.text
    assert known_lesions(tmp_path / "nowhere") == []


def test_a_changed_number_is_not_shown(tmp_path, caplog):
    keep_lesions(comparison(0.4), 1, 33, "z > 2", {}, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace("0.4", "0.8", 1))
    assert known_lesions(tmp_path) == []
    assert f"{file} was changed" in caplog.text


@given(data=st.data())
def test_whatever_a_record_holds_it_is_the_one_written_or_passed_over(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    keep_lesions(comparison(0.4), 1, 33, "z > 2", {}, folder)
    (file,), written = folder.iterdir(), known_lesions(folder)
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    assert known_lesions(folder) in ([], written)
