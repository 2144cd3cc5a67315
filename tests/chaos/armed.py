"""What happens to a process at one of its file operations: a signal, or a disk that is full from then on.

An audit hook counts what changes files below a folder, so that the moment is the same on a fast and on a slow
machine.
"""

import errno
import os
import resource
import signal
import sys
from typing import NamedTuple

CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "tempfile.mkdtemp": 0}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Blow(NamedTuple):
    """An attack from within: before the operation number ``at`` below ``folder``, counted from 1.

    ``act`` is the name of a signal that the process sends to itself; ``full``; or ``list``, which only
    writes the path of every operation into ``<folder>.operations``.
    """

    folder: str
    act: str
    at: int


def changed(event: str, arguments: tuple[object, ...]) -> str:
    """Path that an event is about to change; empty if it changes none."""
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING:
            return ""
    elif event in CHANGES:
        path = arguments[CHANGES[event]]
    else:
        return ""
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""


def arm(blow: Blow) -> None:
    """Let a blow fall on this process."""
    count = 0
    listed = open(f"{blow.folder}.operations", "w") if blow.act == "list" else None  # noqa: PTH123, SIM115

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        path = changed(event, arguments)
        if not path.startswith(f"{blow.folder}/"):
            return
        count += 1
        if listed is not None:
            listed.write(f"{path}\n")
            listed.flush()
        elif blow.act == "full":
            if count == blow.at:
                # writers in C++ and Rust ask the kernel alone
                resource.setrlimit(
                    resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
                )
            if count >= blow.at and event in ("open", "os.mkdir", "tempfile.mkdtemp"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        elif count == blow.at:
            os.kill(os.getpid(), getattr(signal, blow.act))

    sys.addaudithook(hook)
