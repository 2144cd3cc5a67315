"""Pruning from texts to a checkpoint that is smaller, scored before and after, on the tiny model."""

import json

import pandas as pd
import pytest
import torch
from in_process import composed, run_stage
from transformers import AutoModelForCausalLM

from fbn_exp.core.errors import ConfigError, PruningError
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.load import load
from fbn_exp.pruning import networks
from fbn_exp.pruning.networks import largest_z
from fbn_exp.stages.prune import run

TEXTS = ("dataset.n_texts=4", "dataset.tokens_per_text=40")
ONLY_WIKI = ("forgetting=corpora", "~forgetting.news", "~forgetting.math", "~forgetting.code")
SHORT = ("forgetting.wiki.dataset.n_texts=3", "forgetting.wiki.dataset.tokens_per_text=32")
QUICK = ("model=tiny", *TEXTS, *ONLY_WIKI, *SHORT, "method.n_components=3", "prune.speed_pairs=0")
WIKI = "perplexity_wiki/nats_per_token"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FBN_EXP_CACHE", str(tmp_path / "cache"))


def test_the_checkpoint_is_smaller_and_scores_what_was_written(tmp_path):
    metrics = run_stage("prune", tmp_path / "run", *QUICK, "prune.ratio=0.25", "prune.bias=true")
    # 4 blocks of 96 hidden neurons, each with 3 × 64 weights; biases of 72 + 72 + 64 in each block
    assert metrics["pruned/neurons"] == 96
    saved = metrics["original/parameters"] - metrics["pruned/parameters"]
    assert saved == 96 * 3 * 64 - 4 * (72 + 72 + 64)
    assert metrics["pruned/logit_error"] < 1e-4
    place = tmp_path / "run" / "checkpoint"
    model = AutoModelForCausalLM.from_pretrained(place)
    assert model.config.intermediate_size == 72
    assert sum(each.numel() for each in model.parameters()) == metrics["pruned/parameters"]
    about = json.loads((place / "pruning.json").read_text())
    assert [len(block["pruned"]) for block in about["blocks"]] == [24] * 4
    assert about["networks"]["method"]["n_components"] == 3
    table = pd.read_csv(tmp_path / "run" / "tables" / "pruning.csv")
    row = table[table["metric"] == "nats_per_token"].iloc[0]
    assert row["after"] == pytest.approx(metrics[WIKI])
    assert row["ci_low"] <= row["delta"] <= row["ci_high"]
    # the checkpoint is a model like any other
    own = (f"model.name={place}", "model.random={}", "prune.ratio=0", "prune.criterion=random")
    again = run_stage("prune", tmp_path / "again", *QUICK, *own)
    assert again[f"baseline/{WIKI}"] == pytest.approx(metrics[WIKI], abs=1e-6)
    assert again[f"delta/{WIKI}"] == pytest.approx(0, abs=1e-6)


def test_importance_in_networks_is_kept_for_other_ratios(tmp_path, caplog):
    run_stage("prune", tmp_path / "one", *QUICK, "prune.ratio=0.1", "prune.keep=false")
    assert not (tmp_path / "one" / "checkpoint").exists()
    caplog.set_level("INFO")
    run_stage("prune", tmp_path / "two", *QUICK, "prune.ratio=0.5", "prune.keep=false")
    assert "importance in networks from the cache" in caplog.text


def test_a_run_that_was_stopped_goes_on_with_the_next_block(tmp_path, monkeypatch):
    decomposed = []

    def stopped_at(count):
        def largest(maps):
            decomposed.append(maps)
            if len(decomposed) == count:
                raise KeyboardInterrupt
            return largest_z(maps)

        return largest

    monkeypatch.setattr(networks, "largest_z", stopped_at(3))
    with pytest.raises(KeyboardInterrupt):
        run_stage("prune", tmp_path / "stopped", *QUICK)
    monkeypatch.setattr(networks, "largest_z", stopped_at(None))
    run_stage("prune", tmp_path / "again", *QUICK)
    # the third of four blocks came to nothing
    assert len(decomposed) == 3 + 2
    run_stage("prune", tmp_path / "whole", *QUICK, f"cache={tmp_path / 'other'}")
    again, whole = (
        json.loads((tmp_path / run / "checkpoint" / "pruning.json").read_text())["blocks"]
        for run in ("again", "whole")
    )
    assert again == whole


@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "attribution", "random"])
def test_every_criterion_prunes_as_many(tmp_path, criterion):
    metrics = run_stage("prune", tmp_path, *QUICK, f"prune.criterion={criterion}", "prune.ratio=0.5")
    assert metrics["pruned/ratio"] == 0.5
    assert metrics["pruned/mlp_parameters"] == metrics["original/mlp_parameters"] / 2


@pytest.mark.parametrize("per_block", [True, False])
def test_networks_of_a_folder_choose_the_neurons(tmp_path, per_block):
    extraction = ("model=tiny", *TEXTS, "method=pca", "method.n_components=3", "site=mlp_hidden")
    run_stage("extract", tmp_path / "extract", *extraction, f"method.per_block={per_block}")
    folder = f"networks={tmp_path / 'extract' / 'networks'}"
    metrics = run_stage("prune", tmp_path / "prune", *QUICK, folder, "prune.ratio=0.25")
    assert metrics["pruned/ratio"] == 0.25


def test_networks_of_another_site_are_refused(tmp_path):
    with pytest.raises(PruningError, match="extract them with site=mlp_hidden"):
        run_stage("prune", tmp_path, *QUICK, "site=mlp_output")


def test_networks_of_the_gate_alone_prune_as_well(tmp_path):
    site = ("site=mlp_output", "+model.paths.mlp_output=model.layers.*.mlp.act_fn")
    assert run_stage("prune", tmp_path, *QUICK, *site, "prune.ratio=0.25")["pruned/ratio"] == 0.25


def test_recovery_trains_what_is_left_and_pruned_neurons_stay_zero(tmp_path):
    steps = ("prune.recovery.max_steps=4", "prune.recovery.learning_rate=3e-3", "prune.recovery.n_texts=30")
    masked = ("prune.criterion=magnitude", "prune.form=masked", "prune.ratio=0.5", "prune.spared_first=1")
    metrics = run_stage("prune", tmp_path / "run", *QUICK, *steps, *masked)
    assert metrics[f"recovered/{WIKI}"] < metrics[WIKI]
    about = json.loads((tmp_path / "run" / "recovered" / "pruning.json").read_text())
    assert about["recovery"]["max_steps"] == 4
    assert about["spared_blocks"] == [0]
    config = ModelConfig(name=str(tmp_path / "run" / "recovered"), dtype=Precision.float32, device="cpu")
    model = load(config, tmp_path).model
    for block, layer in zip(about["blocks"], model.model.layers, strict=True):
        assert not layer.mlp.down_proj.weight[:, torch.tensor(block["pruned"], dtype=torch.long)].any()
    assert set(pd.read_csv(tmp_path / "run" / "tables" / "pruning.csv")["model"]) == {"pruned", "recovered"}


def test_an_objective_that_no_metric_has_is_refused(tmp_path):
    cfg = composed(*QUICK, "tracking=none", "objective=nope", script="prune", folder=tmp_path)
    with pytest.raises(ConfigError, match="objective is 'nope'"):
        run(cfg)
