"""Locks on cache entries: a process that computes an entry holds its lock, others wait with a timeout."""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fbn_exp.core.errors import ConfigError, DiskError, LockError
from fbn_exp.core.files import disk_errors, write_json

log = logging.getLogger(__name__)

# default timeout in minutes: an entry can take hours to compute
MINUTES = 240.0
MINUTES_VARIABLE = "FBN_EXP_LOCK_MINUTES"
# seconds of waiting after which a log line says so
PATIENCE = 10.0


@contextlib.contextmanager
def held(entry: Path) -> Iterator[None]:
    """Hold the lock of a file or folder, which need not exist; its parent must.

    The operating system frees the lock of a process that dies. ``<entry>.holder`` describes the process that
    holds it.

    Parameters
    ----------
    entry : Path
        File or folder to lock; the lock file is ``<entry>.lock``.

    Raises
    ------
    LockError
        If another process holds it for longer than ``FBN_EXP_LOCK_MINUTES``; names the file and the holder.
    DiskError
        If the lock file cannot be made, as where a folder has its name.
    """
    lock = FileLock(f"{entry}.lock")
    holder = entry.with_name(f"{entry.name}.holder")
    seconds = 60 * _minutes()
    try:
        with disk_errors(Path(lock.lock_file)):
            lock.acquire(timeout=min(PATIENCE, seconds))
    except Timeout:
        log.info("waiting for %s, which %s holds", lock.lock_file, _described(holder))
        try:
            lock.acquire(timeout=max(0.0, seconds - PATIENCE))
        except Timeout as error:
            raise LockError(
                f"{lock.lock_file} is held by {_described(holder)}, longer than {MINUTES_VARIABLE}="
                f"{seconds / 60:g}: wait for that process, end it, or set {MINUTES_VARIABLE}"
            ) from error
    try:
        # a full disk must not prevent the reading of an entry that exists already
        with contextlib.suppress(DiskError):
            write_json(holder, {"process": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        yield
    finally:
        # something else can be in its place
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _minutes() -> float:
    given = os.environ.get(MINUTES_VARIABLE)
    try:
        minutes = MINUTES if given is None else float(given)
    except ValueError:
        minutes = -1.0
    if not minutes > 0:
        raise ConfigError(f"{MINUTES_VARIABLE} is {given!r}, must be a number of minutes above 0")
    return minutes


def _described(holder: Path) -> str:
    try:
        known = json.loads(holder.read_text(encoding="utf-8"))
        minutes = (time.time() - known["since"]) / 60
        return f"process {known['process']} on {known['host']} (for {minutes:.1f} minutes)"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"
