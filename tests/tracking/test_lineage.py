"""Online, an evaluation uses the artifact that the extraction has logged: a run of wandb stood in for."""

import json

import pytest
from in_process import composed

from fbn_exp.stages import evaluate, extract
from fbn_exp.tracking.wandb import WandbTracker

SMALL = ("model=tiny", "dataset.n_texts=6", "dataset.tokens_per_text=48", "method.n_components=3")
FEW = ("controls.repeats=1", "benchmark.dataset.n_texts=3", "intervention.networks=[1]", "figures.dpi=30")


class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)


class OnlineRun:
    """A run of wandb in mode online that keeps what it is given, and asks no server."""

    offline, url = False, "https://wandb.example/run"

    def __init__(self, config):
        self.config, self.summary, self.history = Config(config), {}, []
        self.logged, self.used, self.exit_code = [], [], None

    def log(self, values):
        self.history.append(values)

    def log_artifact(self, artifact):
        self.logged.append(artifact)

    def use_artifact(self, artifact):
        self.used.append(artifact)

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def opened(monkeypatch, tmp_path):
    runs = []

    def open_run(self, info, mode):
        assert mode.value == "online"
        runs.append(OnlineRun(info.config))
        return runs[-1]

    monkeypatch.setattr(WandbTracker, "_open", open_run)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb"))
    return runs


def described(artifact):
    """What tells wandb whether files are a version that it has: type, name and contents."""
    return artifact.type, artifact.name, artifact.manifest.digest()


def test_an_evaluation_uses_the_very_artifact_that_the_extraction_has_logged(opened, tmp_path):
    online = ("tracking.mode=online", f"cache={tmp_path / 'cache'}")
    extract.run(composed(*SMALL, *online, "figures.dpi=30", folder=tmp_path / "ex"))
    networks = tmp_path / "ex" / "networks"
    asked = (*SMALL, *FEW, *online, "intervention=inhibit", f"networks={networks}")
    evaluate.run(composed(*asked, script="evaluate", folder=tmp_path / "ev"))
    extraction, evaluation = opened
    assert (extraction.exit_code, evaluation.exit_code) == (0, 0)
    (logged,), (used,) = extraction.logged, evaluation.used
    assert described(used) == described(logged)
    assert set(used.manifest.entries) == {"networks.json", "networks.safetensors", "neurons.json"}
    # which extraction it was can be read from the run too
    made = json.loads((networks / "networks.json").read_text())["provenance"]
    assert evaluation.config["networks_from"] == made
    assert extraction.used == evaluation.logged == []
    assert any("report" in values for values in extraction.history)


def test_networks_of_the_cache_are_no_artifact_that_is_used(opened, tmp_path):
    online = ("tracking.mode=online", f"cache={tmp_path / 'cache'}")
    evaluate.run(composed(*SMALL, *FEW, *online, "intervention=inhibit", script="evaluate", folder=tmp_path))
    (evaluation,) = opened
    assert evaluation.used == []
    assert evaluation.config["networks_from"]["model"] == "random:llama"
