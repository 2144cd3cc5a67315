"""What lm-eval finds, says and repeats while it scores."""

import functools
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any


@contextmanager
def installed_evaluate() -> Iterator[None]:
    """Let ``import evaluate`` find the installed package, not a script of that name.

    lm-eval imports the package ``evaluate``; the entry script ``evaluate.py`` lies in a folder that Python
    searches first when it runs a script.
    """
    shadowing = [folder for folder in sys.path if (Path(folder or ".") / "evaluate.py").is_file()]
    kept = list(sys.path)
    sys.path[:] = [folder for folder in sys.path if folder not in shadowing]
    if not hasattr(sys.modules.get("evaluate"), "load"):
        sys.modules.pop("evaluate", None)
    try:
        importlib.import_module("evaluate")
        yield
    finally:
        sys.path[:] = kept


@contextmanager
def no_environment_report() -> Iterator[None]:
    """Skip lm-eval's report of installed packages and devices, which takes seconds and is not used."""
    from lm_eval import evaluator

    kept = evaluator.add_env_info
    evaluator.add_env_info = lambda storage: None
    try:
        yield
    finally:
        evaluator.add_env_info = kept


# warnings of lm-eval about what is meant here: its tasks get no arguments, and its model is loaded already
MEANT = (
    "Custom kwargs can be passed",
    "`pretrained` model kwarg is not",
    "Passed an already-initialized model",
)
# seconds until a progress bar of lm-eval is shown: a scoring of a small task is over by then
BAR_DELAY = 2.0


@contextmanager
def quiet() -> Iterator[None]:
    """Let lm-eval log warnings about what is not meant, and show progress only where it takes long."""
    from lm_eval.api import model, task
    from lm_eval.models import huggingface

    logger, modules = logging.getLogger("lm_eval"), (model, task, huggingface)
    level, bars = logger.level, [module.tqdm for module in modules]
    logger.setLevel(max(level, logging.WARNING))
    for module, bar in zip(modules, bars, strict=True):
        module.tqdm = functools.partial(bar, leave=False, delay=BAR_DELAY)
        module.eval_logger.addFilter(_unexpected)
    try:
        yield
    finally:
        logger.setLevel(level)
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = bar
            module.eval_logger.removeFilter(_unexpected)


def _unexpected(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in MEANT)


@contextmanager
def requests_kept(kept: dict[Any, list[Any]]) -> Iterator[None]:
    """Let lm-eval build the requests of a task once: a sweep asks the same every time.

    Parameters
    ----------
    kept : dict
        Requests by task and rank; those of new tasks are added, without answers.
    """
    from lm_eval.api.task import Task

    build = Task.build_all_requests

    def build_once(task: Any, *, rank: int = 0, world_size: int = 1, **settings: Any) -> None:
        key = (task, rank, world_size)
        if key not in kept:
            build(task, rank=rank, world_size=world_size, **settings)
            kept[key] = task.instances
        task._instances = [replace(each, resps=[], filtered_resps={}) for each in kept[key]]

    Task.build_all_requests = build_once
    try:
        yield
    finally:
        Task.build_all_requests = build
