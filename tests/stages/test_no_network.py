"""The embedded default contacts nothing: neither the hub nor wandb nor a name server."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import REPOSITORY, result_of

SHIELD = Path(__file__).parent / "no_network"
# model, corpus, tracker and benchmark are the defaults, but for the model that is trained: minutes otherwise
FEW = ("dataset.n_texts=4", "dataset.tokens_per_text=32", "method.n_components=3", "figures.max_networks=0")
SCRIPTS = {
    "extract.py": FEW,
    "evaluate.py": (*FEW, "benchmark.dataset.n_texts=2", "controls.repeats=1"),
    "train.py": (
        "model=tiny",
        "dataset.n_texts=40",
        "trainer.max_steps=1",
        "task.dev_texts=4",
        "task.test_texts=4",
    ),
}


def run(script, folder, cache, *before, **variables):
    """A script as on a machine on which nothing about networks is set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "HF_", "TRANSFORMERS_"))
    }
    variables = {"OMP_NUM_THREADS": "1", **variables}
    command = [*before, sys.executable, script, *SCRIPTS[script], f"cache={cache}", f"hydra.run.dir={folder}"]
    return subprocess.run(
        command, cwd=REPOSITORY, env=kept | variables, capture_output=True, text=True, check=False
    )


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("extract.py", "evaluate.py")]


@pytest.mark.parametrize("script", ["train.py", *SLOW])
def test_no_script_tries_to_reach_anything(script, tmp_path, cache_folder, request):
    if "model=tiny" not in SCRIPTS[script]:
        request.getfixturevalue("embedded_model")
    noted = tmp_path / "noted"
    found = os.pathsep.join([str(SHIELD), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run(script, tmp_path / "run", cache_folder, PYTHONPATH=found, NO_NETWORK=str(noted))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not noted.exists(), noted.read_text()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


def test_the_shield_notices_what_it_should(tmp_path):
    noted = tmp_path / "noted"
    tries = (
        "import socket\n"
        "for family, where in [(socket.AF_INET, ('127.0.0.1', 9)), (socket.AF_INET6, ('::1', 9))]:\n"
        "    for name in ('connect', 'connect_ex'):\n"
        "        try: getattr(socket.socket(family), name)(where)\n"
        "        except OSError: pass\n"
        "for look in (lambda name: socket.getaddrinfo(name, 9), socket.gethostbyname):\n"
        "    try: look('localhost')\n"
        "    except OSError: pass\n"
    )
    variables = os.environ | {"PYTHONPATH": str(SHIELD), "NO_NETWORK": str(noted)}
    subprocess.run([sys.executable, "-c", tries], env=variables, check=True)
    events = [line.split()[0] for line in noted.read_text().splitlines() if line.startswith("socket.")]
    assert events == ["socket.connect"] * 4 + ["socket.getaddrinfo", "socket.gethostbyname"]


def without_interfaces():
    """Command that starts another one in a network namespace that has no interface up."""
    command = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, of util-linux")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this kernel allows no network namespace: {tried.stderr.strip()}")
    return command


@pytest.mark.slow
@pytest.mark.parametrize("script", ["extract.py", "evaluate.py"])
@pytest.mark.usefixtures("embedded_model")
def test_scripts_work_where_there_is_no_network_interface(script, tmp_path, cache_folder):
    done = run(script, tmp_path / "run", cache_folder, *without_interfaces())
    assert done.returncode == 0, done.stdout + done.stderr
    assert result_of(tmp_path / "run")["metrics"]
    assert "Traceback" not in done.stderr
