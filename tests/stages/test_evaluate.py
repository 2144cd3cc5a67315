"""evaluate.py in this process, on the tiny model: networks of a folder, exports, chosen factors, refusals."""

import logging

import pytest
import torch
from in_process import composed, run_stage
from scripts import TINY
from transformers import AutoModelForCausalLM

from fbn_exp.core.errors import ConfigError, FbnError, LayoutError
from fbn_exp.stages.evaluate import run

SMALL = (*TINY, "dataset.n_texts=16", "benchmark.dataset.n_texts=4", "controls.repeats=2")
TASK = "perplexity_wiki/nats_per_token"


def test_networks_of_a_folder_are_used_and_those_of_another_layout_refused(tmp_path):
    cache = f"cache={tmp_path / 'cache'}"
    extracted = run_stage("extract", tmp_path / "extracted", *TINY, cache, "signals=paper")
    networks = f"networks={tmp_path / 'extracted' / 'networks'}"
    metrics = run_stage("evaluate", tmp_path / "run", *SMALL, networks, "intervention=preserve", cache)
    assert metrics[f"delta/{TASK}"] != 0
    # signals of the paper leave no token out
    assert metrics["networks/tokens"] == extracted["signals/tokens"]
    with pytest.raises(LayoutError) as refused:
        run_stage("evaluate", tmp_path / "other", *SMALL, networks, "model.random.hidden_size=32", cache)
    assert "4 × 64 neurons" in str(refused.value)
    assert "4 × 32 neurons" in str(refused.value)


def test_texts_that_networks_come_from_are_not_scored(tmp_path):
    seen = "texts of the benchmark are among those that the networks were extracted from"
    with pytest.raises(FbnError, match=seen):
        run_stage(
            "evaluate", tmp_path, *SMALL, "benchmark.dataset.split=train", f"cache={tmp_path / 'cache'}"
        )


def test_an_exported_model_loads_without_this_package_and_scores_the_same(tmp_path):
    export = tmp_path / "exported"
    common = (*SMALL, f"cache={tmp_path / 'cache'}", "+model.random.initializer_range=0.5")
    amplified = ("intervention=amplify", "intervention.factor=3", f"export.path={export}")
    with_hooks = run_stage("evaluate", tmp_path / "run", *common, *amplified)
    AutoModelForCausalLM.from_pretrained(export, dtype=torch.float32)
    untouched = (f"model.name={export}", "intervention=none")
    written = run_stage("evaluate", tmp_path / "again", *common, *untouched)
    assert written[f"baseline/{TASK}"] == pytest.approx(with_hooks[TASK], rel=1e-5)
    assert with_hooks[TASK] != pytest.approx(with_hooks[f"baseline/{TASK}"], rel=1e-4)


def test_a_factor_is_chosen_on_dev_and_reported_on_test(tmp_path):
    overrides = ("intervention=scale", "select_factor=true", "factors=[0,1,4]")
    metrics = run_stage("evaluate", tmp_path, *SMALL, *overrides, f"cache={tmp_path / 'cache'}")
    assert metrics[f"selected_factor/{TASK}"] in (0, 1, 4)
    assert metrics["factors_tried"] == 3
    assert f"delta/{TASK}/ci_low" in metrics


def test_a_job_of_probes_logs_about_ten_lines(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    probes = ("benchmark=probes", "benchmark.tasks=[grammar,recall]", "benchmark.limit=3")
    run_stage("evaluate", tmp_path, *TINY, *probes, "controls.repeats=1", f"cache={tmp_path / 'cache'}")
    assert 3 <= len(caplog.messages) <= 14
    assert "Selected" not in caplog.text
    assert "Building contexts" not in caplog.text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["intervention=amplify", "intervention.factor=0.5"], "amplify needs more than 1"),
        (["controls.repeats=0"], "controls.repeats is 0"),
        (["intervention=inhibit", "select_factor=true"], "select_factor=true chooses a factor"),
        (["benchmark=probes", "benchmark.tasks=[gramar]"], "no probe gramar"),
    ],
)
def test_a_wrong_setting_fails_before_a_model_loads(overrides, said, tmp_path):
    # a model that does not exist: the setting must be refused before it is looked for
    cfg = composed("model.name=/nowhere", "tracking=none", *overrides, script="evaluate", folder=tmp_path)
    with pytest.raises(ConfigError, match=said):
        run(cfg)
