"""How one job is started: the accelerate config, the command and the environment of its processes."""

import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from fbn_exp.config.launch import AccelerateConfig, ClusterConfig, LaunchConfig, ProcessesConfig
from fbn_exp.errors import ConfigError, LaunchError
from fbn_exp.launch.jobs import JOB, STARTER, Job

# written out in full: a job must not depend on what `accelerate config` once left on this machine
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


def wants_processes(config: DictConfig) -> bool:
    """Whether a job runs in processes of its own."""
    settings = OmegaConf.select(config, "launch")
    if settings is None:
        return False
    kind = OmegaConf.get_type(settings)
    if kind is None or not issubclass(kind, ProcessesConfig):
        return False
    alone = settings.num_processes == 1 and settings.config_file is None
    return kind is AccelerateConfig or not alone


def settings_of(config: DictConfig) -> ProcessesConfig:
    """The launch settings of a job, checked.

    Raises
    ------
    ConfigError
        Naming the setting and the value received.
    """
    settings = OmegaConf.to_object(config.launch)
    assert isinstance(settings, ProcessesConfig)
    for name in ("num_processes", "jobs_at_once", "num_machines", "timeout_minutes", "nodes"):
        value = getattr(settings, name, None)
        if value is not None and not value > 0:
            raise ConfigError(f"launch.{name} is {value}, must be positive")
    if settings.config_file is not None and not Path(settings.config_file).expanduser().is_file():
        raise ConfigError(f"launch.config_file: there is no file {settings.config_file}")
    if isinstance(settings, AccelerateConfig) and settings.num_machines > 1:
        if settings.main_process_ip is None or settings.main_process_port == 0:
            raise ConfigError(
                f"launch.num_machines is {settings.num_machines}: set launch.main_process_ip and "
                "launch.main_process_port, the same on all machines"
            )
        if settings.machine_rank not in range(settings.num_machines):
            raise ConfigError(f"launch.machine_rank is {settings.machine_rank}, the first machine's is 0")
    return settings


def visible_devices() -> list[str]:
    """CUDA devices that jobs may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() not in ("", "-1")]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def devices_of_slot(devices: list[str], slot: int, slots: int) -> list[str]:
    """Share of the devices for one of the jobs that run side by side.

    Where there are fewer devices than jobs, jobs share them, one each.
    """
    each = len(devices) // slots
    if each == 0:
        return [devices[slot % len(devices)]] if devices else []
    return devices[slot * each : (slot + 1) * each]


@dataclass(frozen=True)
class Start:
    """What to run for one job: command, environment, and the number of its ranks on all machines."""

    command: list[str]
    environment: dict[str, str]
    processes: int


def start_of(job: Job, settings: ProcessesConfig, devices: list[str], slots: int) -> Start:
    """Write the job's accelerate config, and say how to start it.

    Raises
    ------
    ConfigError
        If there are more ranks than CUDA devices, or ``config_file`` cannot be read.
    """
    described = DEFAULTS | _from_file(settings) | _machines(settings)
    asked_device = OmegaConf.select(job.config, "model.device")
    on_cpu = not devices or asked_device == "cpu" or bool(described.get("use_cpu"))
    asked = settings.num_processes or described.get("num_processes")
    processes = int(asked or (1 if on_cpu else len(devices) * described["num_machines"]))
    here = -(-processes // described["num_machines"])
    if not on_cpu and here > len(devices):
        raise ConfigError(
            f"launch.num_processes is {processes}, but a job has {len(devices)} CUDA devices here: take "
            "fewer processes or jobs at once, or model.device=cpu"
        )
    described["num_processes"] = processes
    if str(described.get("distributed_type", "NO")) in ("NO", "MULTI_GPU", "MULTI_CPU"):
        # what accelerate calls MULTI_CPU starts a single process; the ranks are told by their environment
        described["distributed_type"] = "MULTI_GPU" if processes > 1 else "NO"
    described["use_cpu"] = on_cpu and processes == 1
    file = job.logs / f"accelerate{described['machine_rank'] or ''}.yaml"
    file.write_text(yaml.safe_dump(described), encoding="utf-8")
    # on several machines accelerate counts the ranks of all of them
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, _cores() // (slots * here))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file)]
    command += ["--num_cpu_threads_per_process", str(threads), str(job.script)]
    return Start(command, _environment(job, devices, on_cpu), processes)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _from_file(settings: ProcessesConfig) -> dict[str, Any]:
    if settings.config_file is None:
        return {}
    try:
        read = yaml.safe_load(Path(settings.config_file).expanduser().read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"launch.config_file {settings.config_file} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise ConfigError(f"launch.config_file {settings.config_file} is no file of `accelerate config`")
    from accelerate.commands.config.config_args import ClusterConfig as Known

    if unknown := sorted(map(str, read.keys() - {each.name for each in fields(Known)})):
        raise ConfigError(
            f"launch.config_file {settings.config_file} has {', '.join(unknown)}, which this accelerate does "
            "not know: leave that out, or write the file anew by `accelerate config`"
        )
    return {name: value for name, value in read.items() if value is not None}


def _machines(settings: ProcessesConfig) -> dict[str, Any]:
    """Place of this machine among those of the job, from the settings or from SLURM."""
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
    return {
        "num_machines": nodes,
        "machine_rank": int(os.environ["SLURM_NODEID"]),
        "main_process_ip": _first_host(),
        # jobs on one node differ by their ids
        "main_process_port": 20_000 + int(os.environ["SLURM_JOB_ID"]) % 20_000,
    }


def _first_host() -> str:
    try:
        import submitit
    except ImportError as error:
        raise LaunchError("a job on several nodes needs submitit: pip install 'fbn_exp[slurm]'") from error
    return str(submitit.JobEnvironment().hostnames[0])


def _environment(job: Job, devices: list[str], on_cpu: bool) -> dict[str, str]:
    made = {**os.environ, JOB: str(job.file), STARTER: str(os.getpid())}
    # evaluate.py must not shadow the package of that name
    made["PYTHONSAFEPATH"] = "1"
    made["ACCELERATE_USE_CPU"] = str(on_cpu).lower()
    made["CUDA_VISIBLE_DEVICES"] = "" if on_cpu else ",".join(devices)
    # the job's own ranks, not those that this process may be one of
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        made.pop(name, None)
    return made


def slots_of(settings: LaunchConfig) -> int:
    """Jobs that run side by side in this process's hands."""
    return settings.jobs_at_once if isinstance(settings, AccelerateConfig) else 1
