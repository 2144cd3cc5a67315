"""Runs of the scripts in processes that are forked from one that has imported everything."""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armed import Blow, arm

REPOSITORY = Path(__file__).parents[2]
STAGES = ("extract", "evaluate", "train")
HEAVY = ("matplotlib.figure", "accelerate", "peft", "statsmodels.stats.multitest", "sklearn.decomposition")
QUIET = ("tracking=none", "figures.max_networks=1", "figures.dpi=30")
# seconds, and what depends on them
TIMES = ("seconds", "per_second")


def server() -> Any:
    """Context whose processes are forked from a server with all heavy modules imported."""
    context = multiprocessing.get_context("forkserver")
    # without __main__: it is pytest
    context.set_forkserver_preload(["runs", *HEAVY, *(f"fbn_exp.stages.{stage}" for stage in STAGES)])
    return context


def _body(script: str, overrides: list[str], said: Any, blow: Blow | None) -> None:
    """Run a script in a forked process."""
    for stream in (1, 2):
        os.dup2(said.fileno(), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(REPOSITORY)
    sys.argv = [f"{script}.py", *overrides]
    main = importlib.import_module(f"fbn_exp.stages.scripts.{script}").main
    if blow is not None:
        arm(blow)
    main()


@dataclass
class Ended:
    """A finished run: exit status, or minus the signal, and what it printed."""

    status: int
    said: str
    seconds: float


class Run:
    """A run that has been started."""

    def __init__(self, context: Any, script: str, overrides: list[str], blow: Blow | None = None) -> None:
        reader, writer = context.Pipe(duplex=False)
        self.started = time.monotonic()
        self.process = context.Process(target=_body, args=(script, overrides, writer, blow))
        self.process.start()
        writer.close()
        self._said: list[bytes] = []
        self._reader = reader
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while piece := os.read(self._reader.fileno(), 65536):
            self._said.append(piece)

    def signal_after(self, seconds: float, number: int) -> None:
        """Send a signal unless the run has ended by then."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            os.kill(self.process.pid, number)

    def ended(self) -> Ended:
        """Wait for the end."""
        self.process.join(240)
        assert self.process.exitcode is not None, "a run hangs"
        self._listener.join(10)
        seconds = time.monotonic() - self.started
        return Ended(self.process.exitcode, b"".join(self._said).decode(errors="replace"), seconds)
