"""The commands of an installed wheel, in an environment that knows nothing of this checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from scripts import LOCAL_TASK, REPOSITORY, TINY, result_of

pytestmark = pytest.mark.slow
SOURCES = ("src", "conf", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


def done_by(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed, without what leads to the checkout."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("PYTHONPATH", "WANDB_MODE", "FBN_EXP_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools leaves its own beside the sources."""
    copy = tmp_path_factory.mktemp("sources") / "fbn_exp"
    copy.mkdir()
    for name in SOURCES:
        kept = REPOSITORY / name
        if kept.is_dir():
            shutil.copytree(kept, copy / name, ignore=LEFT_OUT)
        else:
            shutil.copy(kept, copy)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation")
    done_by(*pip, "--wheel-dir", "dist", ".", cwd=copy)
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def commands(wheel, tmp_path_factory):
    """Folder with the commands, in an environment that has what the wheel requires from this one."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    done_by(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    (packages,) = home.glob("lib/python*/site-packages")
    # pth files in there, as that of an editable install, are not followed
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python")
    done_by(*pip, "install", "--no-deps", "--no-index", wheel, cwd=home.parent)
    return home / "bin"


def test_a_wheel_holds_every_file_of_the_packages_and_of_conf(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    places = {"src": Path(), "conf": Path("fbn_exp", "conf")}
    wanted = {
        (place / file.relative_to(REPOSITORY / folder)).as_posix()
        for folder, place in places.items()
        for file in (REPOSITORY / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file)
    }
    assert held == wanted
    assert {"fbn_exp/py.typed", "fbn_exp/report/html/template/report.js"} < held


def test_networks_are_extracted_below_the_folder_that_the_command_is_run_in(commands, tmp_path):
    own, here = tmp_path / "own", tmp_path / "here"
    (own / "method").mkdir(parents=True)
    (own / "method" / "mine.yaml").write_text("defaults: [/schema/pca@_here_]\nseed: ${seed}\n")
    here.mkdir()
    done_by(
        commands / "fbn-extract",
        "--config-dir",
        own,
        *TINY,
        "method=mine",
        "tracking=none",
        "cache=c",
        cwd=here,
    )
    (networks,) = here.glob("outputs/extract/*/*/networks")
    about = json.loads((networks / "networks.json").read_text())
    assert about["provenance"]["config"]["method"]["_target_"].endswith("PCA")
    assert {each.name for each in here.iterdir()} == {"outputs", "c"}


def test_a_sweep_of_jobs_in_processes_of_their_own_runs_lm_eval(commands, tmp_path):
    rows = [{"question": f"Is {number} even?", "label": number % 2} for number in range(4)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "mine.yaml").write_text(LOCAL_TASK.format(data=tmp_path / "mine.jsonl"))
    done_by(
        *(commands / "fbn-evaluate", "-m", *TINY, "intervention.factor=0,2", "controls.repeats=1"),
        *("benchmark=lm_eval", "benchmark.tasks=[mine]", "benchmark.include_path=."),
        *("launch=accelerate", "launch.num_processes=1", "tracking=none", "hydra.sweep.dir=sweep"),
        cwd=tmp_path,
    )
    assert [result_of(tmp_path / "sweep" / job)["metrics"]["mine/acc/n"] for job in "01"] == [4, 4]
    assert (tmp_path / "sweep" / "sweep" / "jobs.csv").is_file()


def test_help_names_the_groups_of_the_command(commands, tmp_path):
    page = done_by(commands / "fbn-train", "--help", cwd=tmp_path)
    assert "trainable: all, inside" in page
    assert "task: classification, language_modeling" in page
