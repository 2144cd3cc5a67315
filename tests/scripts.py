"""Run the entry scripts as a user would: in a process of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TINY = ("model=tiny", "dataset.n_texts=6", "dataset.tokens_per_text=48", "method.n_components=4")

# an lm-eval task over a local file
LOCAL_TASK = """
task: mine
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["yes", "no"]
doc_to_target: label
metric_list: [{{metric: acc}}]
"""


def run_script(
    script: str, *overrides: str, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Finished process of ``python script overrides``, run in the repository's root."""
    return subprocess.run(
        [sys.executable, *python, script, *overrides],
        cwd=REPOSITORY,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def killed_once(script: str, *overrides: str, written: Path) -> None:
    """Start ``python script overrides``, and kill it (SIGKILL) as soon as a file is there."""
    process = subprocess.Popen(
        [sys.executable, script, *overrides],
        cwd=REPOSITORY,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 600
        while not written.exists():
            assert process.poll() is None, f"{script} ended before it wrote {written}"
            assert time.monotonic() < until, f"{script} did not write {written}"
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


def _environment() -> dict[str, str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    environment.pop("WANDB_MODE", None)
    return environment


def finished(script: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """As ``run_script``, of a run that must succeed."""
    done = run_script(script, *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def result_of(folder: Path) -> dict[str, Any]:
    """Content of a run folder's ``result.json``."""
    content = json.loads((folder / "result.json").read_text())
    assert isinstance(content, dict)
    return content
