"""One job in processes of its own, started from a script that would otherwise do it itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fbn_exp.launch.jobs import write_job
from fbn_exp.launch.processes import run_jobs
from fbn_exp.launch.results import Outcome


def run_single(task_function: Callable[..., Any], config: DictConfig) -> Any:
    """Run a job in the processes that ``launch`` asks for; return what rank 0 returns.

    Raises
    ------
    LaunchError
        If it cannot be started or fails.
    """
    # it is a DictConfig, though its annotation says a dataclass
    hydra: Any = HydraConfig.get() if HydraConfig.initialized() else None
    job = write_job(task_function, config, Path(config.run.folder), hydra)
    found: list[Outcome] = []
    run_jobs([job], lambda place, outcome: found.append(outcome))
    if found[0].error is not None:
        raise found[0].error
    return found[0].value
