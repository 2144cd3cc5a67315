"""Submitit launchers for SLURM and this machine; a lost job fails alone instead of ending the sweep."""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra_plugins.hydra_submitit_launcher import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    config as queues,
)
from hydra_plugins.hydra_submitit_launcher import submitit_launcher
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fbn_exp.core.errors import LaunchError
from fbn_exp.launch.hydra_config import as_hydra_config
from fbn_exp.launch.settings import settings_of, wants_processes

log = logging.getLogger(__name__)


class _Patient(submitit_launcher.BaseSubmititLauncher):  # type: ignore[misc, unused-ignore]
    """hydra-submitit-launcher that goes on after a job without a result, where its ``launch`` would raise."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Submit all jobs, wait for them, and report lost jobs to Hydra's callbacks."""
        import submitit

        # refuse wrong settings here, before a job waits in the queue
        if wants_processes(self.config):
            settings_of(self.config)
        self._make_folder()
        numbers = [initial_job_idx + place for place in range(len(job_overrides))]
        for number, overrides in zip(numbers, job_overrides, strict=True):
            log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
        submitted = [
            (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state())
            for number, overrides in zip(numbers, job_overrides, strict=True)
        ]
        jobs = self._executor().map_array(self, *zip(*submitted, strict=True))
        returns = []
        for job, overrides, number in zip(jobs, job_overrides, numbers, strict=True):
            try:
                returns.append(job.results()[0])
            except submitit.core.utils.UncompletedJobError:
                returns.append(self._lost(list(overrides), number, _reason(job)))
        return returns

    def _make_folder(self) -> None:
        sweep = self.config.hydra.sweep
        folder = Path(str(sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        if "mode" in sweep:
            folder.chmod(int(str(sweep.mode), 8))
        log.info("Launching through submitit (%s), into %s", self._EXECUTOR, folder)

    def _executor(self) -> Any:
        """Build submitit's executor, with the parameters of ``hydra.launcher`` under submitit's names."""
        import submitit

        common = {each.name for each in fields(queues.BaseQueueConf)}
        named = {
            name if name in common else f"{self._EXECUTOR}_{name}": value
            for name, value in self.params.items()
        }
        at_first = {name: named.pop(name) for name in [f"{self._EXECUTOR}_max_num_timeout"] if name in named}
        folder = named.pop("submitit_folder")
        executor = submitit.AutoExecutor(folder=folder, cluster=self._EXECUTOR, **at_first)
        executor.update_parameters(**named)
        return executor

    def _lost(self, overrides: list[str], number: int, error: LaunchError) -> JobReturn:
        """Report to Hydra's callbacks a job that could not report itself."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = f"job_id_for_{number}", number
        with as_hydra_config(config):
            folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)).absolute()
            with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
                config.hydra.runtime.output_dir = str(folder)
            _leave_overrides(config, folder)
            made = JobReturn(overrides=list(config.hydra.overrides.task), working_dir=str(Path.cwd()))
            made.status, made.return_value = JobStatus.FAILED, error
            self.hydra_context.callbacks.on_job_end(config=config, job_return=made)
        return made


class LocalLauncher(_Patient, submitit_launcher.LocalLauncher):  # type: ignore[misc, unused-ignore]
    """Launch jobs in processes on this machine."""


class SlurmLauncher(_Patient, submitit_launcher.SlurmLauncher):  # type: ignore[misc, unused-ignore]
    """Launch jobs as tasks of a SLURM array."""


def take_over() -> None:
    """Register these launchers with Hydra under the names of those of hydra-submitit-launcher."""
    known = Plugins.instance().class_name_to_class
    for ours in (LocalLauncher, SlurmLauncher):
        known[f"{submitit_launcher.__name__}.{ours.__name__}"] = ours


def _leave_overrides(config: DictConfig, folder: Path) -> None:
    """Write the overrides of a job that was lost before it began, so that the sweep's table has its row."""
    about = folder / str(config.hydra.output_subdir or ".hydra")
    if (about / "overrides.yaml").exists():
        return
    # on a full disk the script still names the job
    with contextlib.suppress(OSError):
        about.mkdir(parents=True, exist_ok=True)
        (about / "overrides.yaml").write_text(
            OmegaConf.to_yaml(config.hydra.overrides.task), encoding="utf-8"
        )


def _reason(job: Any) -> LaunchError:
    """Summarise in one line why a job was lost; the job's log has submitit's full message."""
    # the first of several nodes
    first = job.task(0)
    # the log may be missing, or the scheduler may not answer
    said = next((each for each in reversed((first.stderr() or "").splitlines()) if each.strip()), "")
    last = f", and said last: {said.strip()}" if said else ""
    where = os.path.relpath(first.paths.stderr)
    return LaunchError(
        f"submitit's job {job.job_id} ended without a result: it was killed, cancelled or could not start "
        f"(state {first.state}){last}; its log: {where}"
    )
