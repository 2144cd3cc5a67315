"""Set-up and clean-up of a job's process, around the main function of its script."""

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from fbn_exp.core.errors import PrintableFormatter, print_error, print_exception
from fbn_exp.launch.jobs import JOB, STARTER, read_job, remove_scratch
from fbn_exp.launch.results import write_error, write_returned

# seconds between two checks that the starting process is running
WATCH = 1.0


def run_rank(main: Callable[..., Any]) -> NoReturn:
    """Run the job that the environment names as one of its ranks, and end the process.

    Each rank writes to a separate log. The return value of rank 0, or the error of a failed rank, is written
    for the process that started the job. A rank ends when that process is gone.
    """
    file = Path(os.environ[JOB])
    rank = int(os.environ.get("RANK", "0"))
    _redirect(file.parent / f"rank{rank}.log")
    watch_starter(int(os.environ[STARTER]), file.parents[1])
    if rank == 0:
        # SIGTERM raises an exception, so that temporary files are removed
        signal.signal(signal.SIGTERM, _terminated)
    status = 1
    try:
        config, about = read_job(file)
        _configure_logging(about, rank)
        _run(main, config, file.parent, rank)
        status = 0
    except Exception as error:
        _tell(error, file.parent, rank)
    finally:
        # the disk that holds the logs can be full
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        logging.shutdown()
    if status == 0:
        # what was registered for the end runs; all results are written
        atexit._run_exitfuncs()
    # open connections to waiting ranks would keep a process from ending, and threads of libraries that still
    # run when C++ takes down its statics abort it ("terminate called without an active exception")
    os._exit(status)


def _tell(error: Exception, logs: Path, rank: int) -> None:
    """Write an error for the process that started the job, and into the log of this rank."""
    known = write_error(logs, rank, error)
    with contextlib.suppress(OSError):
        if known is None:
            print_exception(type(error), error, error.__traceback__)
        else:
            print_error(f"error: {known}")


def _run(main: Callable[..., Any], config: Any, logs: Path, rank: int) -> None:
    from fbn_exp.core import ranks

    ranks.join(60 * config.launch.timeout_minutes)
    value = main(config)
    if rank == 0:
        write_returned(logs, value)
    ranks.leave()


def _terminated(number: int, frame: Any) -> NoReturn:
    # a second signal must not interrupt the clean-up
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _redirect(file: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(opened, stream)
    os.close(opened)


def watch_starter(starter: int, folder: Path) -> None:
    """End this process soon after the process that started the job is gone."""

    def watch() -> None:
        while True:
            time.sleep(WATCH)
            try:
                os.kill(starter, 0)
            except ProcessLookupError:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(WATCH)
                # usually removed by the process that started the job
                remove_scratch(folder)
                os._exit(1)

    threading.Thread(target=watch, name="watch-starter", daemon=True).start()


def _configure_logging(about: dict[str, Any], rank: int) -> None:
    """Configure logging as Hydra does; only rank 0 writes the log file of the run folder."""
    if rank > 0 or about["job_logging"] is None:
        handler = logging.StreamHandler()
        handler.setFormatter(PrintableFormatter("[%(asctime)s][%(name)s][%(levelname)s] %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        return
    from hydra.core.utils import configure_log
    from omegaconf import OmegaConf

    configure_log(OmegaConf.create(about["job_logging"]), about["verbose"])
