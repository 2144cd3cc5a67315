"""What a run leaves when it ends, and when it does not."""

import json

import pytest
from in_process import composed
from omegaconf import OmegaConf
from scripts import result_of

from fbn_exp.stages.results import opened_run, used
from fbn_exp.tracking.base import NoTracker


def test_a_result_is_finished_only_when_the_run_has_ended(tmp_path):
    cfg = OmegaConf.create({"run": {"folder": str(tmp_path), "name": "", "sweep": None}})

    def run(broken):
        with opened_run(cfg, "evaluate", NoTracker()) as (folder, _):
            folder.write()
            assert result_of(tmp_path)["finished"] is False
            if broken:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(broken=True)
    assert result_of(tmp_path)["finished"] is False
    run(broken=False)
    assert result_of(tmp_path)["finished"] is True


def test_the_tracker_gets_the_settings_of_the_networks_that_were_used(tmp_path):
    made = {"site": "attention_output", "method": {"n_components": 3}, "signals": {"standardise": "none"}}
    (tmp_path / "networks.json").write_text(
        json.dumps({"provenance": {"config": made}, "networks": [{}] * 3})
    )
    config = used(composed(f"networks={tmp_path}", script="evaluate"))
    assert {name: config[name] for name in made} == made
    assert "reliability" not in config
    assert used(composed(script="evaluate"))["method"]["n_components"] == 10
