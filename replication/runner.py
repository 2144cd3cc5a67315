"""Run a step through its script, once: what is done is known by the command that it was done with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from step import Model, Step

from fbn_exp.core.files import new_file
from fbn_exp.core.locks import held

DONE, BEGUN = "done.json", "begun.json"
# what the script prints
CONSOLE = "console.txt"
# what results depend on; the document that a run writes is not part of it
CODE = ("src", "conf", ":(glob)*.py", "pyproject.toml", "constraints.txt")

# seconds between notes of how long a script has run, which outlive a process that is killed
NOTED_EVERY = 20.0

# scripts that run
_scripts: set[subprocess.Popen[bytes]] = set()


def interrupt() -> None:
    """End the scripts that run as Ctrl-C does: they keep what is finished."""
    # what a shell runs in the background ignores Ctrl-C, and so do its scripts
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    for script in list(_scripts):
        script.send_signal(signal.SIGTERM if ignored else signal.SIGINT)


def forget(place: Path) -> None:
    """Count a step as not run, since what it needs has changed."""
    for mark in (DONE, BEGUN):
        (place / mark).unlink(missing_ok=True)


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
    place.parent.mkdir(parents=True, exist_ok=True)
    with held(place):
        if done_before(place, command, step.leaves):
            # by a process that held the folder before
            return float(str(_read(place / DONE)["seconds"]))
        begun = _begun(place, {"command": command, "commit": commit(root)})
        before, started = float(str(begun.get("seconds", 0.0))), time.perf_counter()

        def so_far() -> dict[str, object]:
            return {**begun, "seconds": before + time.perf_counter() - started}

        arguments = [*(["-m"] if step.sweep else []), *step.arguments(model.option, own, quick, more)]
        command_line = [sys.executable, step.script, *arguments]
        status = _status(
            command_line, root, place / CONSOLE, at_once, lambda: _write(place / BEGUN, so_far())
        )
        mark = so_far()
        _write(place / (BEGUN if status else DONE), mark)
    return None if status else float(str(mark["seconds"]))


def _begun(place: Path, wanted: dict[str, object]) -> dict[str, object]:
    """Prepare a step's folder; return its mark, with the seconds that interrupted runs of the same took."""
    begun = _read(place / BEGUN)
    if {name: begun.get(name) for name in wanted} != wanted:
        shutil.rmtree(place, ignore_errors=True)
        begun = wanted
    place.mkdir(parents=True, exist_ok=True)
    (place / DONE).unlink(missing_ok=True)
    _write(place / BEGUN, begun)
    return begun


def _status(arguments: list[str], root: Path, console: Path, at_once: int, note: Callable[[], None]) -> int:
    """Run a script to its end, with a note from time to time; return its exit status."""
    threads = max((os.cpu_count() or 1) // at_once, 1)
    with (
        console.open("ab") as printed,
        subprocess.Popen(
            arguments,
            cwd=root,
            env={"OMP_NUM_THREADS": str(threads), **os.environ},
            stdout=printed,
            stderr=subprocess.STDOUT,
        ) as script,
    ):
        _scripts.add(script)
        while True:
            try:
                status = script.wait(NOTED_EVERY)
                break
            except subprocess.TimeoutExpired:
                note()
        _scripts.remove(script)
    return status


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


def commit(root: Path) -> str:
    """Commit of the code, with a mark if its files differ from it; empty outside of a git repository."""
    commit = _git(root, "describe", "--always", "--abbrev=10", "--exclude=*")
    return f"{commit}-dirty" if commit and _git(root, "status", "--porcelain", "--", *CODE) else commit


def _git(root: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""
