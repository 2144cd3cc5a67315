"""Options of the config group ``launch``: in which processes, and where, jobs run."""

from dataclasses import dataclass


@dataclass
class LaunchConfig:
    """Jobs run in the process of the script itself, one after the other."""


@dataclass
class ProcessesConfig(LaunchConfig):
    """Jobs of one or more processes (ranks) that share the work.

    ``num_processes`` counts the ranks of one job; None is what ``config_file`` says, or else one for each
    of the job's CUDA devices. ``config_file`` is what ``accelerate config`` writes. A rank that waits
    longer than ``timeout_minutes`` for another gives up.
    """

    num_processes: int | None = None
    config_file: str | None = None
    timeout_minutes: float = 60.0


@dataclass
class AccelerateConfig(ProcessesConfig):
    """Each job is an ``accelerate launch`` of its own on this machine.

    ``jobs_at_once`` jobs of a sweep run side by side and divide the CUDA devices among them. A job over
    several machines is started once on each, with the same ``main_process_ip`` and ``main_process_port``;
    ``num_processes`` then counts the ranks of all machines.
    """

    jobs_at_once: int = 1
    num_machines: int = 1
    machine_rank: int = 0
    main_process_ip: str | None = None
    main_process_port: int = 0


@dataclass
class ClusterConfig(ProcessesConfig):
    """Each job is one of a cluster's; with several processes it starts them on its node or nodes."""

    num_processes: int | None = 1
    nodes: int = 1
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    mem_gb: int | None = None
    limit_minutes: int = 1440


@dataclass
class SlurmConfig(ClusterConfig):
    """SLURM, through submitit; ``jobs_at_once`` limits the jobs that run at the same time."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    jobs_at_once: int = 256


@dataclass
class RayConfig(ProcessesConfig):
    """Ray, which hands out the given numbers of processors and GPUs to each job."""

    num_processes: int | None = 1
    num_cpus: int = 1
    num_gpus: float = 0.0
    address: str | None = None
