"""What the processes of a job leave for the one that started them: a value, or which rank failed and how."""

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

# bytes below which a disk counts as full
LEAST_ROOM = 2**16
# how torch's own log lines begin, among what ranks say
TORCH_LINE = re.compile(r"(\[rank\d+\]:)?\[?[EWI]\d{4} \d\d:")


@dataclass(frozen=True)
class Outcome:
    """How a job ended: what rank 0 returned, or an error."""

    value: Any = None
    error: FbnError | None = None


def write_returned(logs: Path, value: Any) -> None:
    """Keep what rank 0 returned; what is no plain number or text is forgotten."""
    write_json(logs / "returned.json", value if isinstance(value, float | int | str | None) else None)


def write_error(logs: Path, rank: int, error: Exception) -> FbnError | None:
    """Keep why a rank failed; return the error where it is one that a user can act on."""
    known = error if isinstance(error, FbnError) else as_disk_error(error)
    told = {
        "rank": rank,
        "text": f"{type(error).__name__}: {error}" if known is None else str(known),
        "known": known is not None,
        "waited": isinstance(error, AbsentRankError),
    }
    with contextlib.suppress(OSError, DiskError):
        write_json(logs / f"error-rank{rank}.json", told)
    return known


def outcome(job: Job, exit_code: int, processes: int) -> Outcome:
    """How a job ended, from what its ranks and their launcher wrote.

    A rank that is killed is seen by the ranks that wait for it and by torch's launcher, in any order, and
    the launcher may end a rank before that can say so. So a rank's own error comes first, then a death
    that the launcher saw, and only then what a rank says of another.
    """
    if exit_code == 0:
        if job.machine > 0:
            # rank 0, on the first machine, may be at work for long
            return Outcome()
        with contextlib.suppress(OSError, ValueError):
            return Outcome(json.loads((job.logs / "returned.json").read_text(encoding="utf-8")))
        return Outcome(error=LaunchError(f"the job ended without a result; its logs: {job.logs}"))
    files = sorted(job.logs.glob("error-rank*.json"), key=lambda each: each.stat().st_mtime_ns)
    errors = [json.loads(each.read_text(encoding="utf-8")) for each in files]
    own = next((each for each in errors if not each["waited"]), None)
    if own is not None and own["known"]:
        return Outcome(error=LaunchError(own["text"].strip()))
    death = _death(job, {each["rank"] for each in errors}, processes)
    if own is not None:
        who = f"rank {own['rank']} of {processes}: " if processes > 1 else ""
        # what broke this rank may be that another was killed
        said = [f"{who}{own['text'].strip()}", *([death] if death else [])]
    elif death is None and errors:
        return Outcome(error=LaunchError(errors[0]["text"].strip()))
    else:
        said = [death or f"a process of the job died, {_how(exit_code)}{_last_line(job.launcher_log)}"]
        # a rank that finds no room cannot say so in its log
        if (free := free_bytes(job.logs)) < LEAST_ROOM:
            said.append(f"the disk of {job.folder} has {in_words(free)} free: {REMEDY}")
    return Outcome(error=LaunchError("; ".join([*said, f"logs: {os.path.relpath(job.logs)}"])))


def _death(job: Job, told: set[int], processes: int) -> str | None:
    """The first rank that died without an error of its own, and how; on any machine of the job."""
    for file in sorted(job.logs.glob("deaths*.json")):
        for name, exit_code in json.loads(file.read_text(encoding="utf-8")).items():
            if int(name) not in told:
                who = f"rank {name} of {processes}" if processes > 1 else "a process of the job"
                log = job.logs / f"rank{name}.log"
                # without a log of its own it did not come as far as this package
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
