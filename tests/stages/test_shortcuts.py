"""Short arguments stand for several settings, and leave room for others."""

import os

import pytest
import yaml
from in_process import CONF, composed, run_stage

from fbn_exp.core.checks import typed
from fbn_exp.stages.scripts.shortcuts import DEBUG, expanded


@pytest.mark.parametrize("script", DEBUG)
def test_a_dry_run_is_a_config_of_its_script_with_a_tiny_model_and_no_tracking(script):
    cfg = composed(*expanded(["debug=true"], script), script=script)
    typed(cfg, object)
    assert cfg.model.name.startswith("random:")
    assert "NoTracker" in cfg.tracking._target_
    assert cfg.dataset.n_texts <= 60


def test_a_dry_run_leaves_the_report_of_its_networks_as_it_is(tmp_path):
    cache = f"cache={tmp_path / 'cache'}"
    run_stage("extract", tmp_path / "ex", *expanded(["debug=true"], "extract"), cache)
    report = tmp_path / "ex" / "report.html"
    before = report.read_bytes()
    lesion = [f"networks={report.parent / 'networks'}", "intervention=inhibit", "intervention.networks=[1]"]
    dry = expanded(["debug=true", *lesion, "benchmark.dataset.n_texts=3"], "evaluate")
    run_stage("evaluate", tmp_path / "dry", *dry, cache)
    assert report.read_bytes() == before
    assert not (tmp_path / "cache" / "lesions").exists()
    run_stage("evaluate", tmp_path / "real", *(each for each in dry if each != "keep_lesion=false"), cache)
    assert report.read_bytes() != before


def test_what_is_set_beside_a_short_argument_wins():
    arguments = expanded(["model=gpt2", "debug=true", "dataset.n_texts=9"], "extract")
    assert [each for each in arguments if each.startswith(("model=", "dataset.n_texts"))] == [
        "model=gpt2",
        "dataset.n_texts=9",
    ]


def test_quiet_and_verbose_set_the_level_of_messages(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert expanded(["verbose=true", "seed=1"], "extract") == ["seed=1", "hydra.verbose=true"]
    assert "TQDM_DISABLE" not in os.environ
    assert expanded(["quiet=true"], "extract") == ["hydra.job_logging.root.level=WARNING"]
    assert os.environ["TQDM_DISABLE"] == "1"
    assert expanded(["debug=false", "quiet=false"], "extract") == []


def test_a_dry_run_of_a_localizer_has_the_networks_of_its_contrasts():
    settings = expanded(["method=localizer", "debug=true"], "extract")
    assert "dataset.n_texts=6" in settings
    assert not [each for each in settings if each.startswith("method.n_components")]


def test_verbose_keeps_libraries_that_write_hundreds_of_lines_quiet():
    told = yaml.safe_load((CONF / "hydra/job_logging/rich.yaml").read_text())["loggers"]
    assert {told[name]["level"] for name in ("matplotlib", "PIL", "filelock")} == {"INFO"}
