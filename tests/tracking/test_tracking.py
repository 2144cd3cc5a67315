import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import wandb
from PIL import Image
from wandb_files import RecordedRun, recorded_runs

from fbn_exp.core.errors import TrackingError
from fbn_exp.tracking.base import NoTracker, RunInfo, TrackedRun
from fbn_exp.tracking.config import WandbMode
from fbn_exp.tracking.wandb import WandbTracker, _WandbRun, more_private, short_name

FRAME = pd.DataFrame(
    {
        "network": [0, 1],
        "token": ["the", None],
        "score": [0.5, float("nan")],
        "mixed": [1, "one"],
        7: [True, False],
    }
)


@pytest.fixture(autouse=True)
def private_environment(tmp_path_factory, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path_factory.mktemp("wandb_home")))


def tracker(mode=WandbMode.offline, project="networks", tags=()):
    return WandbTracker(mode=mode, project=project, entity=None, tags=tags)


def info(folder, **changes):
    told = {"stage": "extract", "name": "seed=1", "folder": folder, "sweep": None, "config": {"seed": 1}}
    return RunInfo(**{**told, **changes})


def log_everything(run: TrackedRun, folder: Path) -> None:
    picture = folder / "map.png"
    Image.new("RGB", (4, 3)).save(picture)
    networks = folder / "networks"
    (networks / "masks").mkdir(parents=True)
    (networks / "maps.safetensors").write_bytes(b"maps")
    (networks / "masks" / "z.json").write_text("{}")
    run.metrics({"fit/iterations": 12, "negentropy": 0.25, "undefined": float("nan")})
    run.table("largest", FRAME)
    run.figure("figures/map", picture)
    page = folder / "report.html"
    page.write_text("<!doctype html><title>Networks</title>")
    run.page("report", page)
    run.networks("smollm2 ica/k=10: é" + "x" * 200, networks, {"n_components": 10})


def only_run(folder: Path) -> RecordedRun:
    (run,) = recorded_runs(folder)
    return run


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_offline_run_holds_what_was_logged(tmp_path, capfd):
    config = {"method": {"n_components": 10, "contrast": "logcosh"}, "seed": None}
    with tracker(tags=["pilot"]).run(info(tmp_path, sweep="2025-01-01", config=config)) as run:
        log_everything(run, tmp_path)
    assert capfd.readouterr() == ("", "")

    found = only_run(tmp_path)
    assert found.run["project"] == "networks"
    assert found.run["run_group"] == "2025-01-01"
    assert found.run["job_type"] == "extract"
    assert found.run["display_name"] == "seed=1"
    assert found.run["tags"] == ["pilot"]
    assert found.config == config
    assert found.exit_code == 0

    numbers = {"fit/iterations": 12, "negentropy": 0.25, "undefined": "NaN"}
    assert [step for step in found.history if "negentropy" in step] == [numbers]
    assert numbers.items() <= found.summary.items()

    table = json.loads(found.media("largest").read_text(), parse_constant=pytest.fail)
    assert table["columns"] == ["network", "token", "score", "mixed", "7"]
    assert table["data"] == [[0, "the", 0.5, 1, True], [1, None, None, "one", False]]
    assert Image.open(found.media("figures/map")).size == (4, 3)
    assert found.media("report").read_text() == "<!doctype html><title>Networks</title>"

    (artifact,) = [each for each in found.artifacts.values() if each["type"] == "networks"]
    assert artifact["name"].startswith("smollm2-ica-k-10-xxx")
    assert len(artifact["name"]) == 128
    assert json.loads(artifact["metadata"]) == {"n_components": 10}
    held = {each["path"]: Path(each["local_path"]) for each in artifact["manifest"]["contents"]}
    assert sorted(held) == ["maps.safetensors", "masks/z.json"]
    assert held["maps.safetensors"] == tmp_path / "networks" / "maps.safetensors"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ("", ""),
        ("model=tiny,intervention.factor=[0,2],tracking.mode=online", "model=tiny,factor=[0,2]"),
        ("networks=/a/b/2026-01-02/11-05-09/networks,seed=1", "networks=11-05-09,seed=1"),
        ("+benchmark.limit=2,hydra.run.dir=/x,dataset.paths=[/a/my.txt]", "limit=2,paths=my.txt"),
    ],
)
def test_the_name_of_a_run_is_short(overrides, name):
    assert short_name(overrides) == name


class Online:
    """A run of wandb that takes what it is given."""

    def __init__(self, offline):
        self.offline, self.config, self.used = offline, {}, []

    def use_artifact(self, artifact):
        self.used.append(artifact)


class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)


@pytest.mark.parametrize("offline", [True, False])
def test_online_a_run_uses_the_artifact_of_its_networks(offline, tmp_path):
    run = Online(offline)
    run.config = Config()
    (tmp_path / "maps.safetensors").write_bytes(b"maps")
    _WandbRun(run).lineage({"model": "smollm2"}, tmp_path)
    assert run.config["networks_from"] == {"model": "smollm2"}
    assert [(each.name, [*each.manifest.entries]) for each in run.used] == (
        [] if offline else [("smollm2", ["maps.safetensors"])]
    )


@pytest.mark.parametrize("error", [wandb.errors.CommError("no server"), ValueError("has type 'model'")])
def test_what_a_server_refuses_about_artifacts_is_said_and_loses_no_results(error, tmp_path, caplog):
    class Refusing(Online):
        def use_artifact(self, artifact):
            raise error

        log_artifact = use_artifact

    run = _WandbRun(Refusing(offline=False))
    run._run.config = Config()
    run.networks("smollm2", tmp_path, {})
    run.lineage({"model": "smollm2"}, tmp_path)
    assert f"not logged as an artifact: {error}" in caplog.text
    assert f"not linked to the artifact of its networks: {error}" in caplog.text


def test_runs_one_after_another_stay_apart(tmp_path):
    for seed, name in enumerate(["", "s" * 200]):
        with tracker().run(info(tmp_path, name=name, config={"seed": seed})) as run:
            run.metrics({"score": seed})
    first, second = recorded_runs(tmp_path)
    assert [each.run["display_name"] for each in (first, second)] == ["defaults", "s" * 63 + "…"]
    assert [each.config for each in (first, second)] == [{"seed": 0}, {"seed": 1}]
    assert [each.summary["score"] for each in (first, second)] == [0, 1]


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_run_whose_body_raises_is_closed_as_failed(tmp_path, error):
    with pytest.raises(type(error)) as caught, tracker().run(info(tmp_path)):
        raise error
    assert caught.value is error
    assert only_run(tmp_path).exit_code == 1


@pytest.mark.parametrize("silent", [NoTracker(), tracker(mode=WandbMode.disabled)])
def test_nothing_is_written_without_a_tracker(tmp_path, silent):
    told = tmp_path / "told"
    run_folder = tmp_path / "run"
    told.mkdir()
    run_folder.mkdir()
    with silent.run(info(run_folder)) as run:
        log_everything(run, told)
    assert files(run_folder) == []


@pytest.mark.parametrize(
    ("asked", "environment", "wins"),
    [
        ("online", None, "online"),
        ("online", "", "online"),
        ("online", "offline", "offline"),
        ("online", "dryrun", "offline"),
        ("offline", "online", "offline"),
        ("offline", "disabled", "disabled"),
        ("disabled", "online", "disabled"),
    ],
)
def test_the_environment_can_only_make_a_run_more_private(asked, environment, wins):
    assert more_private(WandbMode(asked), environment) is WandbMode(wins)


def test_the_environment_can_switch_tracking_off(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracker(mode=WandbMode.online).run(info(tmp_path)) as run:
        run.metrics({"score": 1})
    assert files(tmp_path) == []


def test_a_folder_for_data_that_cannot_be_written_to_is_named_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "file" / "deep"))
    with (
        pytest.raises(
            TrackingError, match=r"WANDB_DATA_DIR=.*file/deep cannot be written to .*tracking=none"
        ),
        tracker().run(info(tmp_path / "run")),
    ):
        pytest.fail("the run was opened")


def test_so_is_the_usual_folder_for_data(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("WANDB_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    message = r"wandb's folder for data, .*file/wandb, cannot be written to .*: set WANDB_DATA_DIR"
    with pytest.raises(TrackingError, match=message), tracker().run(info(tmp_path / "run")):
        pytest.fail("the run was opened")


@pytest.mark.parametrize("wrong", [{"project": "a/b"}, {"tags": ["t" * 80]}])
def test_what_wandb_refuses_is_a_tracking_error(tmp_path, wrong):
    with pytest.raises(TrackingError, match="tracking=none"), tracker(**wrong).run(info(tmp_path)):
        pytest.fail("the run was opened")


@pytest.mark.parametrize("key", ["", "a" * 40])
def test_online_without_key_or_server_names_the_way_out(tmp_path, key):
    # a process of its own, as wandb reads the server's address once per process
    script = """
        import sys
        from pathlib import Path
        from fbn_exp.tracking.config import WandbMode
        from fbn_exp.core.errors import TrackingError
        from fbn_exp.tracking.base import RunInfo
        from fbn_exp.tracking.wandb import WandbTracker

        tracker = WandbTracker(WandbMode.online, "networks", None, [])
        try:
            with tracker.run(RunInfo("extract", "", Path(sys.argv[1]), None, {})):
                pass
        except TrackingError as error:
            print("caught", error)
    """
    environment = {**os.environ, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_INIT_TIMEOUT": "2"}
    if key:
        environment["WANDB_API_KEY"] = key
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    environment["NETRC"] = str(tmp_path / "no_netrc")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert "caught wandb cannot start with tracking.mode=online" in done.stdout, done.stderr
    assert "tracking.mode=offline or tracking=none" in done.stdout
