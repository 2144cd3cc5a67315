"""Run a step through its script, once: what is done is known by the command that it was done with."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from step import Model, Step

from fbn_exp.core.files import new_file

DONE, BEGUN = "done.json", "begun.json"
# what the script prints
CONSOLE = "console.txt"


def done_before(place: Path, command: str, leaves: str = "") -> bool:
    """Return True if a step was run to its end with this command, and what others need of it is there.

    Parameters
    ----------
    place : Path
        Folder of the step.
    command : str
        Command as a user types it.
    leaves : str
        Pattern of what other steps need, as ``Step.leaves``.
    """
    return _command(place / DONE) == command and (not leaves or any(place.glob(leaves)))


def run_step(
    root: Path, model: Model, step: Step, folder: str, quick: bool, more: tuple[str, ...], at_once: int = 1
) -> float | None:
    """Run a step to its end; return its seconds, None if it failed.

    What an interrupted run with the same command and code left is kept. What another command or other code
    left is removed, whose jobs would refuse their folders: finished scores and networks are in the cache.
    What the script prints goes to a file; it has one thread for each core, or its share of them if more run
    at once.
    """
    own = f"{folder}/{model.option}"
    place, command = root / own / step.name, step.command(model.option, own, quick, more)
    begun = {"command": command, "commit": _commit(root)}
    if _read(place / BEGUN) != begun:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    (place / DONE).unlink(missing_ok=True)
    _write(place / BEGUN, begun)
    started = time.perf_counter()
    arguments = [*(["-m"] if step.sweep else []), *step.arguments(model.option, own, quick, more)]
    threads = str(max((os.cpu_count() or 1) // at_once, 1))
    with (place / CONSOLE).open("ab") as console:
        ended = subprocess.run(
            [sys.executable, step.script, *arguments],
            cwd=root,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            stdout=console,
            stderr=subprocess.STDOUT,
            check=False,
        )
    seconds = time.perf_counter() - started
    if ended.returncode:
        return None
    _write(place / DONE, {**begun, "seconds": seconds})
    return seconds


def _command(file: Path) -> str | None:
    """Command that a file of a step names; None if there is no such file or it is damaged."""
    command = _read(file).get("command")
    return None if command is None else str(command)


def _read(file: Path) -> dict[str, object]:
    """Content of a file of a step; empty if there is no such file or it is damaged."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(file: Path, content: dict[str, object]) -> None:
    with new_file(file) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")


def _commit(root: Path) -> str:
    """Commit of the code, with a mark if files differ from it; empty outside of a git repository."""
    ended = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() if ended.returncode == 0 else ""
