"""Interventions on keystones alone, and on members without them: the stage scans the model where it must."""

import logging

import pytest
import torch
from in_process import run_stage
from scripts import TINY
from zoo import TINY as ARGUMENTS

from fbn_exp.core.errors import NetworksError
from fbn_exp.models.random import byte_tokenizer, random_model

# block and neuron that cost 1.2 nats alone; no other one costs more than .1
PLANTED = (1, 48)
SMALL = (*TINY, "intervention=inhibit", "benchmark.dataset.n_texts=4", "controls.repeats=1")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a tiny model with one keystone."""
    folder = tmp_path_factory.mktemp("model")
    planted = random_model("llama", ARGUMENTS)
    with torch.no_grad():
        planted.model.layers[PLANTED[0]].mlp.down_proj.weight[PLANTED[1]] *= 200
        planted.lm_head.weight *= 60
    planted.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def test_members_are_divided_into_keystones_and_the_others(model, tmp_path, caplog):
    """Raw signals: the loud neuron is a member of every network, and would be the only one above a z."""
    own = (*SMALL, f"model.name={model}", "signals=paper", "threshold=top", f"cache={tmp_path / 'cache'}")
    caplog.set_level(logging.INFO)
    sizes = {}
    for members in ("all", "keystones", "without_keystones"):
        caplog.clear()
        metrics = run_stage("evaluate", tmp_path / members, *own, f"intervention.members={members}")
        sizes[members] = metrics["neurons"]
        scanned = "losses with neurons at 0 are computed" in caplog.text
        # once, where it is first needed
        assert scanned == (members == "keystones")
        assert ("which neurons are keystones" in caplog.text) == (members == "all")
    assert sizes["keystones"] == 1
    assert sizes["without_keystones"] == sizes["all"] - 1


def test_controls_can_be_kept_from_keystones_that_nobody_scanned_for(model, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    own = (*SMALL, f"model.name={model}", f"cache={tmp_path / 'cache'}", "controls.kinds=[random]")
    run_stage("evaluate", tmp_path / "scanned", *own, "controls.scan=true")
    assert "losses with neurons at 0 are computed" in caplog.text
    assert "which neurons are keystones" not in caplog.text


def test_a_model_without_keystones_has_none_to_intervene_on(tmp_path):
    own = (*SMALL, f"cache={tmp_path / 'cache'}")
    with pytest.raises(NetworksError, match=r"no member of networks .* is a keystone"):
        run_stage("evaluate", tmp_path / "keystones", *own, "intervention.members=keystones")


def test_a_sweep_may_go_on_without_a_neuron_where_that_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    own = (*SMALL, f"cache={tmp_path / 'cache'}", "intervention.members=keystones")
    metrics = run_stage("evaluate", tmp_path / "keystones", *own, "intervention.allow_empty=true")
    assert metrics["neurons"] == metrics["delta/perplexity_wiki/nats_per_token"] == 0
    assert not [name for name in metrics if name.startswith("control/")]
    assert "an empty choice of neurons has no controls" in caplog.text


def test_nothing_is_kept_for_the_anchor_of_preservation(tmp_path):
    own = (*SMALL, f"cache={tmp_path / 'cache'}", "intervention=preserve", "intervention.members=none")
    metrics = run_stage("evaluate", tmp_path / "none", *own)
    assert metrics["neurons"] == 0
    assert metrics["edit/energy_share"] == pytest.approx(1)  # of all neurons
    assert metrics["delta/perplexity_wiki/nats_per_token"] != 0
