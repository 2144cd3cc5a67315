"""Run a single job in separate processes instead of the script's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fbn_exp.launch.jobs import write_job
from fbn_exp.launch.processes import run_jobs
from fbn_exp.launch.results import Outcome


def run_single(task_function: Callable[..., Any], config: DictConfig) -> Any:
    """Run a job in the processes that ``launch`` asks for, and return the value of rank 0.

    Raises
    ------
    LaunchError
        If the job cannot be started or fails.
    """
    # a DictConfig, though annotated as a dataclass
    hydra: Any = HydraConfig.get() if HydraConfig.initialized() else None
    job = write_job(task_function, config, Path(config.run.folder), hydra)
    outcomes: list[Outcome] = []
    run_jobs([job], lambda place, outcome: outcomes.append(outcome))
    if outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes[0].value
