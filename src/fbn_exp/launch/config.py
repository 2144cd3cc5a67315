"""Options of the config group ``launch``: processes, machines and clusters that jobs run on."""

from dataclasses import dataclass
from pathlib import Path

from fbn_exp.core.checks import (
    LARGEST_COUNT,
    require,
    require_at_least,
    require_at_most,
    require_count,
    require_positive,
)
from fbn_exp.core.errors import ConfigError

# a year, in minutes
LONGEST_WAIT = 365 * 24 * 60
LARGEST_PORT = 2**16 - 1


def require_division(processes: int, machines: int) -> None:
    """Refuse a number of ranks that the machines cannot divide evenly: accelerate would start fewer."""
    if processes % machines:
        raise ConfigError(
            f"launch.num_processes is {processes}, and the job has {machines} machines or nodes: each runs "
            f"as many ranks as the others, at least one: take launch.num_processes={machines} or a multiple"
        )


@dataclass
class LaunchConfig:
    """Run jobs in the process of the script itself, one after the other."""


@dataclass
class ProcessesConfig(LaunchConfig):
    """Run each job in one or more processes (ranks) that share the work.

    Attributes
    ----------
    num_processes : int or None
        Ranks of a job; None takes the number in ``config_file``, or else one for each CUDA device of the job.
    config_file : str or None
        File written by ``accelerate config``.
    timeout_minutes : float
        A rank that waits longer than this for another one fails.

    Raises
    ------
    ConfigError
        If a number is out of range, or ``config_file`` is missing.
    """

    num_processes: int | None = None
    config_file: str | None = None
    timeout_minutes: float = 60.0

    def __post_init__(self) -> None:
        self._require_counts("num_processes")
        require_positive("launch.timeout_minutes", self.timeout_minutes)
        require_at_most("launch.timeout_minutes", self.timeout_minutes, LONGEST_WAIT)
        if self.config_file is not None and not Path(self.config_file).expanduser().is_file():
            raise ConfigError(f"launch.config_file: there is no file {self.config_file}")

    def _require_counts(self, *names: str) -> None:
        for name in names:
            if (value := getattr(self, name)) is not None:
                require_positive(f"launch.{name}", value)
                require_at_most(f"launch.{name}", value, LARGEST_COUNT)


@dataclass
class AccelerateConfig(ProcessesConfig):
    """Run each job by a separate ``accelerate launch`` on this machine.

    A job over several machines is started once on each of them; ``num_processes`` then counts the ranks of
    all machines.

    Attributes
    ----------
    jobs_at_once : int
        Jobs of a sweep that run side by side, each on its share of the CUDA devices.
    num_machines : int
        Machines that one job runs on.
    machine_rank : int
        Number of this machine, counted from 0.
    main_process_ip : str or None
        Address of the first machine, the same on all machines.
    main_process_port : int
        Free port of the first machine, the same on all machines; on a single machine 0 takes any free port.

    Raises
    ------
    ConfigError
        If a number is out of range, the machines have no address to meet at, or cannot divide the ranks.
    """

    jobs_at_once: int = 1
    num_machines: int = 1
    machine_rank: int = 0
    main_process_ip: str | None = None
    main_process_port: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("jobs_at_once", "num_machines")
        require_count("launch.machine_rank", self.machine_rank, 0)
        require_at_least("launch.main_process_port", self.main_process_port, 0)
        require_at_most("launch.main_process_port", self.main_process_port, LARGEST_PORT)
        if self.num_machines > 1 and (self.main_process_ip is None or self.main_process_port == 0):
            raise ConfigError(
                f"launch.num_machines is {self.num_machines}: set launch.main_process_ip and "
                "launch.main_process_port, the same on all machines"
            )
        if self.num_processes is not None:
            require_division(self.num_processes, self.num_machines)


@dataclass
class ClusterConfig(ProcessesConfig):
    """Run each job as a job of a cluster, which starts its processes on its nodes.

    Attributes
    ----------
    num_processes : int or None
        Ranks of a job over all its nodes; None takes one for each CUDA device.
    nodes : int
        Nodes of a job.
    cpus_per_task : int or None
        Processor cores on each node.
    gpus_per_node : int or None
        GPUs on each node.
    mem_gb : int or None
        Memory on each node.
    limit_minutes : int
        Time limit of a job.

    Raises
    ------
    ConfigError
        If a number is out of range, or the nodes cannot divide the ranks.
    """

    num_processes: int | None = 1
    nodes: int = 1
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    mem_gb: int | None = None
    limit_minutes: int = 1440

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("nodes", "limit_minutes", "cpus_per_task", "mem_gb")
        require_count("launch.gpus_per_node", self.gpus_per_node, 0)
        if self.num_processes is not None:
            require_division(self.num_processes, self.nodes)


@dataclass
class SlurmConfig(ClusterConfig):
    """Run jobs on SLURM through submitit.

    Attributes
    ----------
    partition : str or None
        Partition.
    account : str or None
        Account.
    qos : str or None
        Quality of service.
    constraint : str or None
        Constraint on the nodes.
    jobs_at_once : int
        Largest number of jobs of a sweep that run at the same time.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    jobs_at_once: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("jobs_at_once")


@dataclass
class RayConfig(ProcessesConfig):
    """Run jobs on Ray, which assigns the given numbers of processors and GPUs to each job.

    Attributes
    ----------
    num_processes : int or None
        Ranks of one job.
    num_cpus : int
        Processor cores of a job.
    num_gpus : float
        GPUs of a job; a fraction shares one GPU among jobs.
    address : str or None
        Address of a running Ray cluster; None starts one on this machine.
    """

    num_processes: int | None = 1
    num_cpus: int = 1
    num_gpus: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("launch.num_cpus", self.num_cpus, 0)
        require_at_least("launch.num_gpus", self.num_gpus, 0)
        require_at_most("launch.num_gpus", self.num_gpus, LARGEST_COUNT)
        whole = self.num_gpus < 1 or self.num_gpus == int(self.num_gpus)
        require(whole, "launch.num_gpus", self.num_gpus, "be below 1 or a whole number")
