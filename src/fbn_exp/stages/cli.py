"""Error messages of the entry scripts: one message that the user can act on."""

import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import FbnError, print_error, print_exception, printable
from fbn_exp.core.files import as_disk_error
from fbn_exp.stages.scripts.advice import explain
from fbn_exp.stages.scripts.compose import compose_once
from fbn_exp.stages.scripts.interruption import interrupted, remember
from fbn_exp.stages.scripts.own_folder import remove_if_unused
from fbn_exp.stages.scripts.shortcuts import expanded

P = ParamSpec("P")
R = TypeVar("R")


# exit status of a process that SIGINT ended, as shells count it
INTERRUPTED = 130
# objects made since the last search for garbage, by default 700
COLLECTED_AFTER = 50_000
# errors raised by the package of a launcher -> advice
FOREIGN_ERRORS = {
    'Could not detect "srun"': "launch=slurm needs a SLURM cluster, and there is no srun here: start it "
    "where jobs are submitted, or take launch=submitit_local or launch=accelerate",
}


def _sweep_name(mode: object, folder: str) -> str | None:
    """Return the name of the sweep that a job belongs to, None for a single run."""
    return folder if str(mode).rsplit(".", 1)[-1] == "MULTIRUN" else None


def _among(text: str, texts: Sequence[str], yes: object, no: object) -> object:
    """Return one value if a text is among others, and another value if it is not."""
    return yes if text in texts else no


OmegaConf.register_new_resolver("sweep_name", _sweep_name, replace=True)
OmegaConf.register_new_resolver("among", _among, replace=True)


ANALYSES = ("connectivity", "consistency", "overlap")


def renamed(arguments: list[str]) -> list[str]:
    """Translate arguments of version 0.1, in which analyses were benchmarks."""
    value = next((each.partition("=")[2] for each in arguments if each.startswith("benchmark=")), "")
    if not value or not set(value.split(",")) <= set(ANALYSES):
        return arguments
    print_error(f"benchmark={value} is called analysis={value} now, and its fields analysis.…")
    return [re.sub(r"^([+~]*)(\S*?@)?benchmark(?=[.=])", r"\1\2analysis", each) for each in arguments]


_failed_jobs: dict[str, str] = {}


def report_failed_jobs(errors: Mapping[str, str]) -> None:
    """Record failed jobs of a sweep; the script lists them at its end, with exit status 1."""
    _failed_jobs.update(errors)


_finished_jobs: set[str] = set()


def report_finished_jobs(names: Iterable[str]) -> None:
    """Record jobs of a sweep that have finished; without any, nothing is said to be kept."""
    _finished_jobs.update(names)


_failed_summary: list[str] = []


def report_failed_summary(reason: str) -> None:
    """Record why the results of a sweep could not be combined; the script ends with exit status 1."""
    _failed_summary.append(reason)


def reported(main: Callable[P, R]) -> Callable[P, R]:
    """Wrap a ``hydra.main`` function: expected errors end in a message and exit status 1.

    Any other error is a bug and keeps its traceback. Hydra's error report is switched off, since it does
    not name the accepted keys, and shows only a trimmed traceback of errors inside a job.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")
        # imports and configs leave a million objects that stay: searching them for garbage takes seconds
        gc.set_threshold(COLLECTED_AFTER, *gc.get_threshold()[1:])
        sys.excepthook = print_exception
        if in_rank():
            from fbn_exp.launch.rank import run_rank

            run_rank(main)
        script = Path(sys.argv[0]).stem.removeprefix("fbn-")
        sys.argv[1:] = expanded(renamed(sys.argv[1:]), script)
        compose_once()
        if {"-h", "--help"} & {*sys.argv[1:]}:
            from fbn_exp.stages.scripts.help import use_own_page

            use_own_page()
        try:
            returned = main(*args, **kwargs)
        except KeyboardInterrupt:
            print_error(interrupted())
            sys.exit(INTERRUPTED)
        except Exception as error:
            end(error)
        if _failed_jobs or _failed_summary:
            _report_failures()
            sys.exit(1)
        return returned

    return wrapped


def end(error: Exception) -> NoReturn:
    """End the script with a message if the user can act on the error; raise it otherwise."""
    if isinstance(error, BrokenPipeError):
        # the reader, such as head, has what it wanted; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if isinstance(error, HydraException | OmegaConfBaseException | FbnError):
        message: object = explain(error)
    else:
        hints = [hint for words, hint in FOREIGN_ERRORS.items() if words in str(error)]
        message = as_disk_error(error) or next(iter(hints), None)
    if message is None:
        raise error
    print_error(f"error: {message}")
    sys.exit(1)


def _report_failures() -> None:
    for job, reason in _failed_jobs.items():
        print_error(f"job {job} failed: {printable(reason).strip().splitlines()[-1]}")
    kept = bool(_finished_jobs - set(_failed_jobs))
    if _failed_jobs:
        failed = "1 job" if len(_failed_jobs) == 1 else f"{len(_failed_jobs)} jobs"
        print_error(
            f"error: {failed} failed, the others are kept"
            if kept
            else f"error: {failed} failed, no job finished"
        )
    for reason in _failed_summary:
        jobs = "the jobs are kept, but " if kept else ""
        print_error(f"error: {jobs}the sweep is not summarised: {reason}")


def in_rank() -> bool:
    """Return True in a process of a job that another process has resolved and started."""
    return "FBN_EXP_JOB" in os.environ


def launched(main: Callable[[DictConfig], R]) -> Callable[[DictConfig], R]:
    """Wrap a main function, below ``hydra.main``, to run in the processes that ``launch`` asks for.

    All settings are checked first, before anything heavy is imported.
    """

    @functools.wraps(main)
    def wrapped(config: DictConfig) -> R:
        try:
            # the explorer has no run folder
            if not in_rank() and "run" in config:
                remember("run", Path(config.run.folder))
            typed(config, object)
            return _run(main, config)
        except Exception as error:
            if in_rank() or HydraConfig.get().mode is RunMode.MULTIRUN:
                raise
            if isinstance(error, FbnError | OmegaConfBaseException) and "run" in config:
                remove_if_unused(Path(config.run.folder))
            # end here, since Hydra would print all overrides above the message
            end(error)

    return wrapped


def _run(main: Callable[[DictConfig], R], config: DictConfig) -> R:
    from fbn_exp.launch.settings import wants_processes

    if in_rank() or not wants_processes(config):
        return main(config)
    from fbn_exp.launch.single import run_single

    result: R = run_single(main, config)
    return result
