"""A run or sweep is not written over another one by mistake; the same one may go on in its folder."""

import pytest
import yaml
from in_process import composed
from scripts import TINY, run_script

from fbn_exp.core.errors import ConfigError
from fbn_exp.stages.results import opened_run
from fbn_exp.stages.scripts.own_folder import fingerprint, remove_if_unused, require_own_sweep
from fbn_exp.tracking.base import NoTracker


def run(folder, *overrides, script="extract", broken=False):
    cfg = composed(*overrides, script=script, folder=folder)
    with opened_run(cfg, script, NoTracker()) as (opened, _):
        opened.write()
        if broken:
            raise KeyboardInterrupt


def test_results_of_another_configuration_are_not_written_over(tmp_path):
    run(tmp_path, "model=tiny")
    before = (tmp_path / "result.json").read_text()
    with pytest.raises(ConfigError, match=r"another configuration \(of model\): .* overwrite=true"):
        run(tmp_path, "model=gpt2")
    with pytest.raises(ConfigError, match=r"\(of seed, dataset, method\)"):
        run(tmp_path, "model=tiny", "seed=3")
    assert (tmp_path / "result.json").read_text() == before
    run(tmp_path, "model=gpt2", "overwrite=true")
    run(tmp_path, "model=gpt2")


def test_an_interrupted_run_goes_on_in_its_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "model=tiny", broken=True)
    # where it runs, what is drawn and where it is tracked does not matter
    run(tmp_path, "model=tiny", "launch=accelerate", "tracking=none", "figures.dpi=30", "cache=elsewhere")


def test_an_interrupted_training_is_resumed_in_its_folder(tmp_path):
    run(tmp_path, "model=tiny", script="train")
    cfg = composed("model=tiny", script="train", folder=tmp_path)
    cfg.trainer.resume = str(tmp_path)
    with opened_run(cfg, "train", NoTracker()):
        pass


def test_results_that_do_not_say_how_they_came_about_can_be_written_over(tmp_path):
    (tmp_path / "result.json").write_text('{"stage": "extract", "metrics": {}}')
    run(tmp_path, "model=tiny")


def test_the_folder_of_a_run_that_was_refused_does_not_stay(tmp_path):
    made = tmp_path / "refused"
    asked = ("intervention=scale", "intervention.factor=[0,2]", f"hydra.run.dir={made}")
    refused = run_script("evaluate.py", *TINY, *asked)
    assert refused.returncode == 1
    assert "intervention.factor" in refused.stderr
    assert not made.exists()


@pytest.mark.parametrize("kept", ["result.json", "evaluate.log", "tables/scores.csv"])
def test_a_folder_in_which_anything_was_written_stays(kept, tmp_path):
    for name in (".hydra/config.yaml", "evaluate.log", kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / kept).write_text("something")
    remove_if_unused(tmp_path)
    assert (tmp_path / kept).exists()
    assert (tmp_path / ".hydra/config.yaml").exists()


def test_a_folder_that_hydra_has_not_made_stays(tmp_path):
    remove_if_unused(tmp_path)
    (tmp_path / "empty.log").touch()
    remove_if_unused(tmp_path)
    assert (tmp_path / "empty.log").exists()


def test_a_sweep_over_other_settings_is_not_written_over(tmp_path):
    overrides = ["model=tiny", "seed=0,1", "launch=accelerate"]
    require_own_sweep(tmp_path, overrides, overwrite=False)
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": {"task": overrides}}}))
    require_own_sweep(tmp_path, ["seed=0,1", "model=tiny", "tracking=none"], overwrite=False)
    with pytest.raises(ConfigError, match=r"holds another sweep \(model=tiny seed=0,1 launch=accelerate\)"):
        require_own_sweep(tmp_path, ["model=tiny", "seed=0,2"], overwrite=False)
    require_own_sweep(tmp_path, ["model=tiny", "seed=0,2"], overwrite=True)


def test_a_push_of_the_same_networks_goes_on_in_their_folder():
    plain, pushed = (fingerprint(composed(*more)) for more in ([], ["networks.push=user/name"]))
    assert plain == pushed
    named = fingerprint(composed("networks=some/folder", script="evaluate"))
    assert named != fingerprint(composed(script="evaluate"))
