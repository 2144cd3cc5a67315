"""Accelerate config, command and environment of the processes of a job."""

import os
import sys
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import OmegaConf

from fbn_exp.core.errors import ConfigError, LaunchError
from fbn_exp.core.files import new_file
from fbn_exp.launch.config import ClusterConfig, ProcessesConfig, require_division
from fbn_exp.launch.jobs import JOB, STARTER, Job
from fbn_exp.launch.settings import accelerate_settings


def visible_devices() -> list[str]:
    """List the CUDA devices that jobs may use, named as in ``CUDA_VISIBLE_DEVICES``."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() not in ("", "-1")]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def usable_devices(settings: ProcessesConfig) -> list[str]:
    """List the visible CUDA devices, restricted to the ``gpu_ids`` of ``config_file`` if it has any.

    Raises
    ------
    ConfigError
        If devices are visible, but none of the ``gpu_ids``.
    """
    visible = visible_devices()
    named = str(accelerate_settings(settings)["gpu_ids"])
    if named == "all" or not visible:
        return visible
    wanted = {each.strip() for each in named.split(",")}
    usable = [each for each in visible if each in wanted]
    if not usable:
        raise ConfigError(
            f"launch.config_file {settings.config_file} has gpu_ids {named}, but the visible CUDA devices "
            f"are {', '.join(visible)}: name some of these, or leave gpu_ids out"
        )
    return usable


def devices_of_slot(devices: list[str], slot: int, slots: int) -> list[str]:
    """Select the devices of one of the jobs that run side by side.

    If there are fewer devices than jobs, every job has one device, which it shares.
    """
    share = len(devices) // slots
    if share == 0:
        return [devices[slot % len(devices)]] if devices else []
    return devices[slot * share : (slot + 1) * share]


@dataclass(frozen=True)
class Start:
    """Command and environment that start a job, and its total numbers of ranks and machines."""

    command: list[str]
    environment: dict[str, str]
    processes: int
    machines: int


def start_of(job: Job, settings: ProcessesConfig, devices: list[str], slots: int) -> Start:
    """Write the accelerate config of a job and build its command and environment.

    Raises
    ------
    ConfigError
        If there are more ranks than CUDA devices, machines cannot divide them, or ``config_file`` cannot
        be read.
    DiskError
        If there is no room for the accelerate config.
    """
    accelerate = accelerate_settings(settings)
    machines = int(accelerate["num_machines"])
    asked_device = OmegaConf.select(job.config, "model.device")
    on_cpu = not devices or asked_device == "cpu" or bool(accelerate.get("use_cpu"))
    asked = settings.num_processes or accelerate.get("num_processes")
    processes = int(asked or (machines if on_cpu else len(devices) * machines))
    require_division(processes, machines)
    here = processes // machines
    if not on_cpu and here > len(devices):
        raise ConfigError(
            f"launch.num_processes is {processes}, but a job has {len(devices)} CUDA devices here: take "
            "fewer processes or jobs at once, or model.device=cpu"
        )
    accelerate |= _meeting_place(settings, machines) | _kind_of_start(accelerate, processes, on_cpu)
    file = job.logs / f"accelerate{job.machine or ''}.yaml"
    with new_file(file) as partial:
        partial.write_text(yaml.safe_dump(accelerate), encoding="utf-8")
    # accelerate counts the ranks of all machines together
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, _cores() // (slots * here))
    command = [sys.executable, "-m", "fbn_exp.launch.agent", str(job.deaths), "--config_file", str(file)]
    command += ["--num_cpu_threads_per_process", str(threads), str(job.script)]
    return Start(command, _environment(job, devices, on_cpu), processes, machines)


def _kind_of_start(accelerate: dict[str, Any], processes: int, on_cpu: bool) -> dict[str, Any]:
    """Settings that select accelerate's launcher; the ranks read theirs from the environment."""
    kind = str(accelerate.get("distributed_type", "NO"))
    if kind in ("NO", "MULTI_GPU", "MULTI_CPU"):
        # accelerate's MULTI_CPU starts a single process
        kind = "MULTI_GPU" if processes > 1 else "NO"
    return {
        "num_processes": processes,
        "distributed_type": kind,
        "use_cpu": on_cpu and processes == 1,
        # gpu_ids would override the devices that the environment gives this job
        "gpu_ids": "all",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _meeting_place(settings: ProcessesConfig, machines: int) -> dict[str, Any]:
    """Rendezvous of the nodes of a SLURM job: the first node, at a port that no other job there uses."""
    if not isinstance(settings, ClusterConfig) or machines == 1 or "SLURM_JOB_ID" not in os.environ:
        return {}
    # jobs on the same node differ in their ids
    port = 20_000 + int(os.environ["SLURM_JOB_ID"]) % 20_000
    return {"main_process_ip": _first_host(), "main_process_port": port}


def _first_host() -> str:
    try:
        import submitit
    except ImportError as error:
        raise LaunchError("a job on several nodes needs submitit: pip install 'fbn_exp[slurm]'") from error
    return str(submitit.JobEnvironment().hostnames[0])


def _environment(job: Job, devices: list[str], on_cpu: bool) -> dict[str, str]:
    made = {**os.environ, JOB: str(job.file), STARTER: str(os.getpid())}
    # keep evaluate.py from shadowing the package of that name
    made["PYTHONSAFEPATH"] = "1"
    made["ACCELERATE_USE_CPU"] = str(on_cpu).lower()
    made["CUDA_VISIBLE_DEVICES"] = "" if on_cpu else ",".join(devices)
    # this process may itself be a rank: its variables must not reach the job's ranks
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        made.pop(name, None)
    return made
