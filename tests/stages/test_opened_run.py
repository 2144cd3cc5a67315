"""What a run leaves when it ends, and when it does not."""

import pytest
from omegaconf import OmegaConf
from scripts import result_of

from fbn_exp.stages.results import opened_run
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
