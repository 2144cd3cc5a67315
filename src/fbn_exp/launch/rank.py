"""What a job's process does before and after the main function of its script."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from fbn_exp.launch.jobs import JOB, STARTER, read_job, remove_scratch
from fbn_exp.launch.results import write_error, write_returned

# seconds between two looks at whether the starter still lives
WATCH = 1.0


def run_rank(main: Callable[..., Any]) -> NoReturn:
    """Run the job that the environment names as one of its ranks, and end the process.

    Each rank says everything in a log of its own. What rank 0 returns, or why a rank failed, is written
    for the starter. A rank ends when its starter is gone.
    """
    file = Path(os.environ[JOB])
    rank = int(os.environ.get("RANK", "0"))
    _redirect(file.parent / f"rank{rank}.log")
    watch_starter(int(os.environ[STARTER]), file.parents[1])
    if rank == 0:
        # ends in exceptions, so that scratch files are removed
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
        # where these logs are the disk can be full
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        logging.shutdown()
    if status:
        # connections to ranks that wait for this one would hold the process
        os._exit(status)
    sys.exit(0)


def _tell(error: Exception, logs: Path, rank: int) -> None:
    """Leave word of an error: for the starter, and in the log of this rank."""
    known = write_error(logs, rank, error)
    with contextlib.suppress(OSError):
        if known is None:
            traceback.print_exc()
        else:
            print(f"error: {known}", file=sys.stderr)


def _run(main: Callable[..., Any], config: Any, logs: Path, rank: int) -> None:
    from fbn_exp.core import ranks

    ranks.join(60 * config.launch.timeout_minutes)
    value = main(config)
    if rank == 0:
        write_returned(logs, value)
    ranks.leave()


def _terminated(number: int, frame: Any) -> NoReturn:
    # once is enough: cleaning up is not to be interrupted
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
    """End this process soon after the one that started the job, however that ended."""

    def watch() -> None:
        while True:
            time.sleep(WATCH)
            try:
                os.kill(starter, 0)
            except ProcessLookupError:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(WATCH)
                # the starter, which else does this, is gone
                remove_scratch(folder)
                os._exit(1)

    threading.Thread(target=watch, name="watch-starter", daemon=True).start()


def _configure_logging(about: dict[str, Any], rank: int) -> None:
    """As Hydra would on rank 0, whose file in the run folder no other rank writes."""
    if rank > 0 or about["job_logging"] is None:
        logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] %(message)s")
        return
    from hydra.core.utils import configure_log
    from omegaconf import OmegaConf

    configure_log(OmegaConf.create(about["job_logging"]), about["verbose"])
