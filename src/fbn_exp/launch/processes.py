"""Start the processes of jobs, follow their output, and leave no process behind."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

import psutil
from omegaconf.errors import OmegaConfBaseException

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError, FbnError, LaunchError
from fbn_exp.core.files import as_disk_error
from fbn_exp.launch.command import devices_of_slot, start_of, usable_devices
from fbn_exp.launch.jobs import Job, clear, remove_scratch
from fbn_exp.launch.results import Outcome, outcome
from fbn_exp.launch.settings import settings_of, slots_of

log = logging.getLogger(__name__)

# seconds between two checks of the processes
INTERVAL = 0.1
# seconds between SIGTERM and SIGKILL
GRACE = 10.0


class Stopped(SystemExit):
    """Termination of this process by a signal."""


@dataclass
class _Running:
    """A job's ``accelerate launch``, in a separate process group."""

    place: int
    job: Job
    slot: int
    processes: int
    popen: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    shown: int = 0

    def show(self) -> None:
        """Copy the new output of rank 0 to the console."""
        file = self.job.logs / "rank0.log"
        with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
            opened.seek(self.shown)
            new = opened.read()
            self.shown += len(new)
            sys.stderr.write(new.decode(errors="replace"))
            sys.stderr.flush()


def run_jobs(jobs: Sequence[Job], ended: Callable[[int, Outcome], None]) -> None:
    """Run jobs, ``launch.jobs_at_once`` of them side by side.

    Parameters
    ----------
    jobs : sequence of Job
        Jobs of a sweep; the launch settings of the first one say how many run side by side.
    ended : callable
        Called with the index and the outcome of a job as soon as it has ended.
    """
    if not jobs:
        return
    settings = settings_of(jobs[0].config)
    slots = min(slots_of(settings), len(jobs))
    devices = usable_devices(settings)
    waiting = list(enumerate(jobs))
    free = list(range(slots))
    running: list[_Running] = []
    with _stoppable():
        try:
            while waiting or running:
                while waiting and free:
                    place, job = waiting.pop(0)
                    slot = free.pop(0)
                    try:
                        running.append(_started(place, job, slot, slots, devices))
                    except (FbnError, OSError, OmegaConfBaseException) as error:
                        free.append(slot)
                        ended(place, Outcome(error=_not_started(job, error)))
                time.sleep(INTERVAL)
                for running_job in list(running):
                    if slots == 1:
                        running_job.show()
                    if running_job.popen.poll() is not None:
                        running.remove(running_job)
                        free.append(running_job.slot)
                        ended(running_job.place, _finished(running_job, slots == 1))
        finally:
            _stop(running)


def _started(place: int, job: Job, slot: int, slots: int, devices: list[str]) -> _Running:
    # check its settings before its processes start
    typed(job.config, object)
    settings = settings_of(job.config)
    start = start_of(job, settings, devices_of_slot(devices, slot, slots), slots)
    clear(job, start.processes, start.machines)
    with job.launcher_log.open("wb") as launcher_log:
        popen = subprocess.Popen(
            start.command,
            env=start.environment,
            stdin=subprocess.DEVNULL,
            stdout=launcher_log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if slots > 1:
        log.info("started %s", os.path.relpath(job.folder))
    return _Running(place, job, slot, start.processes, popen)


def _not_started(job: Job, error: FbnError | OSError | OmegaConfBaseException) -> FbnError:
    """Error of a job that could not be started, which does not stop the jobs beside it."""
    if isinstance(error, FbnError):
        return error
    if isinstance(error, OmegaConfBaseException):
        return ConfigError(str(error))
    return as_disk_error(error) or LaunchError(
        f"the processes of {job.folder} could not be started: {error}; run the same again when this is "
        "mended, or take fewer launch.jobs_at_once"
    )


def _finished(running: _Running, shown: bool) -> Outcome:
    if shown:
        running.show()
    result = outcome(running.job, running.popen.returncode, running.processes)
    if not shown:
        verb = "ended" if result.error is None else "failed"
        seconds = time.monotonic() - running.started
        log.info("%s %s after %.0f s", verb, os.path.relpath(running.job.folder), seconds)
    # a killed launcher leaves its ranks, and a killed rank leaves its files
    _end(_of_job(running.job))
    remove_scratch(running.job.folder)
    return result


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM raise, as SIGINT does; only the main thread can set signal handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(128 + number)

    kept = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


def _of_job(job: Job) -> list[psutil.Process]:
    """List the running processes of a job; torch puts every rank into a separate session."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("FBN_EXP_JOB") == str(job.file):
                processes.append(process)
    return processes


def _stop(running: Sequence[_Running]) -> None:
    """Terminate, then kill all processes of jobs; a second signal does not interrupt this."""
    if not running:
        return
    ignored = {}
    if threading.current_thread() is threading.main_thread():
        ignored = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for each in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.popen.pid, signal.SIGTERM)
        _end([process for each in running for process in _of_job(each.job)])
        for each in running:
            each.popen.wait()
            # processes that were started in the meantime
            _end(_of_job(each.job))
    finally:
        for number, handler in ignored.items():
            signal.signal(number, handler)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=GRACE)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE)
