"""Resolved jobs as files that their processes read."""

import importlib
import inspect
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from fbn_exp.core import ranks
from fbn_exp.core.errors import LaunchError
from fbn_exp.core.files import write_json
from fbn_exp.launch.settings import machine_rank

# environment variable that gives a job's processes the job's file
JOB = "FBN_EXP_JOB"
# environment variable with the id of the process that started the job: the ranks end when it is gone
STARTER = "FBN_EXP_STARTER"
LOGS = "logs"


@dataclass(frozen=True)
class Job:
    """A job that is ready to start.

    Attributes
    ----------
    folder : Path
        Run folder.
    script : Path
        Entry script; its main function is called by the processes.
    config : DictConfig
        Resolved config of the script.
    machine : int
        Number of this machine among the job's; rank 0 is on machine 0.
    """

    folder: Path
    script: Path
    config: DictConfig
    machine: int = 0

    @property
    def file(self) -> Path:
        """File that the processes read."""
        return self.folder / LOGS / "job.json"

    @property
    def logs(self) -> Path:
        """Folder with the log of each rank."""
        return self.folder / LOGS

    @property
    def launcher_log(self) -> Path:
        """Log of ``accelerate launch`` on this machine."""
        return self.logs / f"launcher{self.machine or ''}.log"

    @property
    def deaths(self) -> Path:
        """Record of the ranks that failed on this machine, see ``fbn_exp.launch.agent``."""
        return self.logs / f"deaths{self.machine or ''}.json"


def write_job(
    task_function: Callable[..., Any], config: DictConfig, folder: Path, hydra: DictConfig | None
) -> Job:
    """Resolve a job once and write it into its folder.

    Parameters
    ----------
    task_function : callable
        Main function of an entry script, decorated or not.
    config : DictConfig
        The script's config; interpolations are resolved here, so that all ranks see the same values.
    folder : Path
        Run folder.
    hydra : DictConfig or None
        Hydra's config, for logging.
    """
    logs = folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    plain = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    logging = None if hydra is None else OmegaConf.to_container(hydra.job_logging, resolve=True)
    restored = typed_config(plain, dict(_types(config)))
    script = Path(inspect.getfile(inspect.unwrap(task_function))).resolve()
    job = Job(folder, script, restored, machine_rank(restored))
    write_json(
        job.file,
        {
            "config": plain,
            "types": dict(_types(config)),
            "job_logging": logging,
            "verbose": False if hydra is None else _plain(hydra.verbose),
        },
    )
    return job


def clear(job: Job, processes: int, machines: int) -> None:
    """Remove the files of an earlier attempt at a job, as far as this machine writes them.

    Parameters
    ----------
    job : Job
        Job without a running process on this machine; on other machines some may run already.
    processes, machines : int
        Total numbers of ranks and machines of the job.
    """
    left = [file for kind in ("error*.json", "deaths*.json", "*.log") for file in job.logs.glob(kind)]
    for stale in (*left, job.logs / "returned.json"):
        if _writer(stale.name, processes // machines, machines) == job.machine:
            stale.unlink(missing_ok=True)
    if job.machine == 0:
        remove_scratch(job.folder)


def _writer(name: str, ranks_each: int, machines: int) -> int:
    """Machine that writes a file of this name, or the first machine if no rank writes it any more."""
    by_rank, by_machine = re.search(r"rank(\d+)\.", name), re.search(r"(?:launcher|deaths)(\d+)\.", name)
    machine = int(by_rank[1]) // ranks_each if by_rank else int(by_machine[1]) if by_machine else 0
    return machine if machine < machines else 0


def remove_scratch(folder: Path) -> None:
    """Remove the temporary files that a job's ranks share in this folder, as large as its signals."""
    for left in folder.glob(f"{ranks.SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _types(config: DictConfig | ListConfig, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and schema of every node that has a schema; parents before children."""
    kind = OmegaConf.get_type(config)
    if isinstance(config, DictConfig) and kind is not None and kind not in (dict, list):
        yield path, f"{kind.__module__}:{kind.__qualname__}"
    keys = range(len(config)) if isinstance(config, ListConfig) else list(config)
    for key in keys:
        if OmegaConf.is_missing(config, key):
            continue
        node = config._get_node(key)
        if isinstance(node, DictConfig | ListConfig) and not node._is_none() and not node._is_interpolation():
            yield from _types(node, f"{path}.{key}" if path else str(key))


def typed_config(plain: Any, types: dict[str, str]) -> DictConfig:
    """Restore the schemas of a config that was written as plain containers.

    Raises
    ------
    LaunchError
        If a schema is not one of this package's.
    """
    root = OmegaConf.create({})
    for path, name in types.items():
        module, _, qualified = name.partition(":")
        # a name from a file is looked up in this package only
        if module.partition(".")[0] != "fbn_exp":
            raise LaunchError(
                f"{name} is not a schema of fbn_exp, so that processes cannot read it: take launch=local"
            )
        schema = OmegaConf.structured(getattr(importlib.import_module(module), qualified))
        if path:
            OmegaConf.update(root, path, schema, merge=False, force_add=True)
        else:
            root = schema
    with open_dict(root):
        root.merge_with(OmegaConf.create(plain))
    OmegaConf.set_struct(root, True)
    return root


def read_job(file: Path) -> tuple[DictConfig, dict[str, Any]]:
    """Read the config of a job, and the other entries of its file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return typed_config(content["config"], content["types"]), content
