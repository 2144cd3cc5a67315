"""What an interruption from the keyboard leaves behind, and how to go on."""

import os
from pathlib import Path

from fbn_exp.stages.scripts.own_folder import read_result

_places: dict[str, Path] = {}


def remember(kind: str, folder: Path) -> None:
    """Remember the folder of the ``run`` or ``sweep`` that is going on."""
    _places[kind] = folder


def interrupted() -> str:
    """Say in one line what is kept and how to go on."""
    if "sweep" in _places:
        folder = _places["sweep"]
        done = sum(bool(read_result(job).get("finished")) for job in folder.glob("*/"))
        kept = "1 finished job is kept" if done == 1 else f"{done or 'no'} finished jobs are kept"
        return (
            f"interrupted: {kept}; the same command with "
            f"hydra.sweep.dir={_named(folder)} goes on, and takes what was scored from the cache"
        )
    if "run" not in _places:
        return "interrupted: nothing had been started"
    folder = _places["run"]
    if any(folder.glob("checkpoints/checkpoint-*")):
        return (
            "interrupted: checkpoints are kept; the same command goes on from there with "
            f"trainer.resume={_named(folder)}"
        )
    kept = ", its networks too," if (folder / "networks").is_dir() else ""
    return (
        f"interrupted: {_named(folder)}{kept} is kept as far as it came; the same command takes what was "
        "extracted and scored from the cache, and goes on"
    )


def _named(folder: Path) -> str:
    return os.path.relpath(folder)
