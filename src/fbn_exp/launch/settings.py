"""Settings of ``launch``: processes and machines of a job."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fbn_exp.core.checks import LARGEST_COUNT, typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.launch.config import LARGEST_PORT, AccelerateConfig, ClusterConfig, LaunchConfig, ProcessesConfig

# written out in full: a job must not depend on an accelerate config file left on this machine
DEFAULTS: dict[str, Any] = {
    "compute_environment": "LOCAL_MACHINE",
    "debug": False,
    "mixed_precision": "no",
    "machine_rank": 0,
    "num_machines": 1,
    "main_process_port": 0,
    "rdzv_backend": "static",
    "same_network": True,
    "gpu_ids": "all",
}

# whole numbers of an accelerate config file, with the smallest and the largest one
COUNTS = {
    "num_processes": (1, LARGEST_COUNT),
    "num_machines": (1, LARGEST_COUNT),
    "machine_rank": (0, LARGEST_COUNT),
    "main_process_port": (0, LARGEST_PORT),
}


def _has_processes(config: DictConfig) -> bool:
    settings = OmegaConf.select(config, "launch")
    kind = None if settings is None else OmegaConf.get_type(settings)
    return kind is not None and issubclass(kind, ProcessesConfig)


def wants_processes(config: DictConfig) -> bool:
    """Return True if a job runs in separate processes."""
    if not _has_processes(config):
        return False
    settings = config.launch
    # without ranks every node would do the whole job
    nodes = OmegaConf.select(settings, "nodes") or 1
    alone = settings.num_processes == 1 and settings.config_file is None and nodes == 1
    return OmegaConf.get_type(settings) is AccelerateConfig or not alone


def settings_of(config: DictConfig) -> ProcessesConfig:
    """Return the launch settings of a job, checked."""
    return typed(config.launch, ProcessesConfig)


def accelerate_settings(settings: ProcessesConfig) -> dict[str, Any]:
    """Merge accelerate's settings: ``config_file``, overridden by ``launch`` or SLURM.

    Raises
    ------
    ConfigError
        If ``config_file`` cannot be read, or ``machine_rank`` is out of range.
    """
    told = DEFAULTS | _from_file(settings) | _machines(settings)
    rank, machines = told["machine_rank"], told["num_machines"]
    if rank not in range(machines):
        raise ConfigError(
            f"launch.machine_rank (or machine_rank of launch.config_file) is {rank}, and there are "
            f"{machines} machines: the first one's is 0, the last one's is one less than launch.num_machines"
        )
    return told


def machine_rank(config: DictConfig) -> int:
    """Return the number of this machine in the job; 0 for wrong settings, which are refused elsewhere."""
    if not _has_processes(config):
        return 0
    try:
        return int(accelerate_settings(settings_of(config))["machine_rank"])
    except (ConfigError, OmegaConfBaseException):
        return 0


def slots_of(settings: LaunchConfig) -> int:
    """Return the number of jobs that this process runs side by side."""
    return settings.jobs_at_once if isinstance(settings, AccelerateConfig) else 1


def _from_file(settings: ProcessesConfig) -> dict[str, Any]:
    if settings.config_file is None:
        return {}
    try:
        read = yaml.safe_load(Path(settings.config_file).expanduser().read_text(encoding="utf-8"))
    # a date that is none and bytes that are not utf-8 are ValueErrors
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"launch.config_file {settings.config_file} cannot be read: {error}; write the file anew by "
            "`accelerate config`"
        ) from error
    if not isinstance(read, dict):
        raise ConfigError(
            f"launch.config_file {settings.config_file} holds {type(read).__name__}, not settings: write the "
            "file anew by `accelerate config`"
        )
    from accelerate.commands.config.config_args import ClusterConfig as Known

    if unknown := sorted(map(str, read.keys() - {each.name for each in fields(Known)})):
        raise ConfigError(
            f"launch.config_file {settings.config_file} has {', '.join(unknown)}, which this accelerate does "
            "not know: leave that out, or write the file anew by `accelerate config`"
        )
    for name, (least, most) in COUNTS.items():
        value = read.get(name, least)
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise ConfigError(
                f"launch.config_file {settings.config_file} has {name} {value!r}, which must be a whole "
                f"number from {least} to {most:,}"
            )
    return {name: value for name, value in read.items() if value is not None}


def _machines(settings: ProcessesConfig) -> dict[str, Any]:
    """Number of machines and rank of this one, from the settings or from SLURM."""
    if isinstance(settings, AccelerateConfig):
        if settings.num_machines == 1:
            return {}
        return {
            "num_machines": settings.num_machines,
            "machine_rank": settings.machine_rank,
            "main_process_ip": settings.main_process_ip,
            "main_process_port": settings.main_process_port,
        }
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
    if not isinstance(settings, ClusterConfig) or nodes == 1:
        return {}
    # a script that submits from within an allocation of several nodes is on none of its job's nodes nodes
    return {"num_machines": nodes, "machine_rank": int(os.environ.get("SLURM_NODEID", "0"))}
