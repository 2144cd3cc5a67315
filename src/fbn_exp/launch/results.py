"""Outcome of a job, passed by files from its processes to the one that started them."""

import contextlib
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fbn_exp.core.errors import AbsentRankError, DiskError, FbnError, LaunchError
from fbn_exp.core.files import REMEDY, as_disk_error, free_bytes, in_words, write_json
from fbn_exp.launch.jobs import Job

# a disk with fewer free bytes counts as full
LEAST_ROOM = 2**16
# beginning of torch's log lines in the logs of ranks
TORCH_LINE = re.compile(r"(\[rank\d+\]:)?\[?[EWI]\d{4} \d\d:")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job: the return value of rank 0, or an error."""

    value: Any = None
    error: FbnError | None = None


def write_returned(logs: Path, value: Any) -> None:
    """Write the return value of rank 0; anything but a number or a text is dropped."""
    write_json(logs / "returned.json", value if isinstance(value, float | int | str | None) else None)


def write_error(logs: Path, rank: int, error: Exception) -> FbnError | None:
    """Write the error of a failed rank; return it if it is one that a user can act on."""
    known = error if isinstance(error, FbnError) else as_disk_error(error)
    report = {
        "rank": rank,
        "text": f"{type(error).__name__}: {error}" if known is None else str(known),
        "known": known is not None,
        "waited": isinstance(error, AbsentRankError),
    }
    with contextlib.suppress(OSError, DiskError):
        write_json(logs / f"error-rank{rank}.json", report)
    return known


def outcome(job: Job, exit_code: int, processes: int) -> Outcome:
    """Determine the outcome of a job from the files of its ranks and their launcher.

    When a rank is killed, the ranks that wait for it and torch's launcher notice in any order, and the
    launcher may end a rank before it can write its error. So errors are taken in this order: one that a
    rank raised itself, a death seen by the launcher, a rank's complaint about another rank.
    """
    if exit_code == 0:
        if job.machine > 0:
            # rank 0, on the first machine, may run for much longer
            return Outcome()
        with contextlib.suppress(OSError, ValueError):
            return Outcome(json.loads((job.logs / "returned.json").read_text(encoding="utf-8")))
        return Outcome(error=LaunchError(f"the job ended without a result; its logs: {job.logs}"))
    files = sorted(job.logs.glob("error-rank*.json"), key=lambda entry: entry.stat().st_mtime_ns)
    errors = [json.loads(entry.read_text(encoding="utf-8")) for entry in files]
    own_error = next((entry for entry in errors if not entry["waited"]), None)
    if own_error is not None and own_error["known"]:
        return Outcome(error=LaunchError(own_error["text"].strip()))
    death = _death(job, {entry["rank"] for entry in errors}, processes)
    if own_error is not None:
        who = f"rank {own_error['rank']} of {processes}: " if processes > 1 else ""
        # this rank may have failed because another one was killed
        said = [f"{who}{own_error['text'].strip()}", *([death] if death else [])]
    elif death is None and errors:
        return Outcome(error=LaunchError(errors[0]["text"].strip()))
    else:
        said = [death or f"a process of the job died, {_how(exit_code)}{_last_line(job.launcher_log)}"]
        # a rank cannot log that the disk is full
        if (free := free_bytes(job.logs)) < LEAST_ROOM:
            said.append(f"the disk of {job.folder} has {in_words(free)} free: {REMEDY}")
    return Outcome(error=LaunchError("; ".join([*said, f"logs: {os.path.relpath(job.logs)}"])))


def _death(job: Job, reported: set[int], processes: int) -> str | None:
    """Describe the first rank, on any machine of the job, that died without an error of its own."""
    for file in sorted(job.logs.glob("deaths*.json")):
        for name, exit_code in json.loads(file.read_text(encoding="utf-8")).items():
            if int(name) not in reported:
                who = f"rank {name} of {processes}" if processes > 1 else "a process of the job"
                log = job.logs / f"rank{name}.log"
                # a rank without a log ended before it imported this package
                said = _last_line(log if log.is_file() else job.launcher_log)
                return f"{who} died, {_how(exit_code)}{said}"
    return None


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit status {exit_code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"killed by signal {-exit_code}"


def _last_line(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not TORCH_LINE.match(line)]
    return f", and said last: {lines[-1]}" if lines else ""
