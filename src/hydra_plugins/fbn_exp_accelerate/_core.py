"""Launch jobs: from the overrides of each job to its processes, and from its outcome to a ``JobReturn``."""

import copy
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fbn_exp.launch.hydra_config import as_hydra_config
from fbn_exp.launch.jobs import Job, write_job
from fbn_exp.launch.processes import run_jobs
from fbn_exp.launch.results import Outcome

if TYPE_CHECKING:
    from hydra_plugins.fbn_exp_accelerate.accelerate_launcher import AccelerateLauncher

log = logging.getLogger(__name__)


def launch(
    launcher: "AccelerateLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[JobReturn]:
    """Resolve all jobs, run them, and report the outcome of each to Hydra's callbacks."""
    setup_globals()
    hydra = launcher.config.hydra
    configure_log(hydra.hydra_logging, hydra.verbose)
    Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    log.info("Launching %d jobs through accelerate", len(job_overrides))
    configs = [
        _sweep_config(launcher, overrides, initial_job_idx + place)
        for place, overrides in enumerate(job_overrides)
    ]
    for config, overrides in zip(configs, job_overrides, strict=True):
        log.info("\t#%s : %s", config.hydra.job.num, " ".join(filter_overrides(overrides)))
    jobs = [_prepared(launcher, config) for config in configs]
    returns: dict[int, JobReturn] = {}

    def ended(place: int, outcome: Outcome) -> None:
        # at once, so that the reason of a failure is recorded even if the sweep is interrupted later
        with as_hydra_config(configs[place]):
            returns[place] = _job_return(configs[place], outcome)
            launcher.hydra_context.callbacks.on_job_end(config=configs[place], job_return=returns[place])

    run_jobs(jobs, ended)
    return [returns[place] for place in range(len(jobs))]


def _sweep_config(launcher: "AccelerateLauncher", overrides: Sequence[str], number: int) -> DictConfig:
    config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    return config


def _prepared(launcher: "AccelerateLauncher", config: DictConfig) -> Job:
    """Write the files that Hydra puts into a job's folder, and the resolved job that its processes read."""
    with as_hydra_config(config):
        folder = Path(os.path.abspath(os.path.join(config.hydra.sweep.dir, config.hydra.sweep.subdir)))  # noqa: PTH100, PTH118
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder)
    with as_hydra_config(config):
        task, hydra = _parts(config)
        about = folder / str(config.hydra.output_subdir or ".hydra")
        about.mkdir(parents=True, exist_ok=True)
        overrides = OmegaConf.to_yaml(config.hydra.overrides.task)
        for name, text in (
            ("config", OmegaConf.to_yaml(task)),
            ("hydra", OmegaConf.to_yaml(hydra)),
            ("overrides", overrides),
        ):
            (about / f"{name}.yaml").write_text(text, encoding="utf-8")
        launcher.hydra_context.callbacks.on_job_start(config=config, task_function=launcher.task_function)
        return write_job(launcher.task_function, task, folder, config.hydra)


def _parts(config: DictConfig) -> tuple[DictConfig, DictConfig]:
    """Split a config into that of the task and that of Hydra."""
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    hydra = OmegaConf.masked_copy(config, ["hydra"])
    return task, hydra


def _job_return(config: DictConfig, outcome: Outcome) -> JobReturn:
    task, hydra = _parts(config)
    made = JobReturn(
        overrides=list(config.hydra.overrides.task),
        cfg=task,
        hydra_cfg=hydra,
        working_dir=str(Path.cwd()),
        task_name=str(config.hydra.job.name),
    )
    made.status = JobStatus.COMPLETED if outcome.error is None else JobStatus.FAILED
    made.return_value = outcome.value if outcome.error is None else outcome.error
    return made
