"""Run the entry scripts as a user would: in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TINY = ("model=tiny", "dataset.n_texts=6", "dataset.tokens_per_text=48", "method.n_components=4")


def run_script(
    script: str, *overrides: str, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Finished process of ``python script overrides``, run in the repository's root."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    environment.pop("WANDB_MODE", None)
    return subprocess.run(
        [sys.executable, *python, script, *overrides],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


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
