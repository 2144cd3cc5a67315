"""Launcher that Hydra discovers; heavy imports are left to ``_core``."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class AccelerateLauncherConfig:
    """Entry in Hydra's config store; the settings are in the config group ``launch``."""

    _target_: str = "hydra_plugins.fbn_exp_accelerate.accelerate_launcher.AccelerateLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="fbn_accelerate", node=AccelerateLauncherConfig, provider="fbn_exp"
)


class AccelerateLauncher(Launcher):
    """Launcher that resolves each job once, writes it into the job's folder, and starts its processes."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the context, the task function and the config for ``launch``."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, ``launch.jobs_at_once`` at a time; a failed job does not stop the others."""
        from hydra_plugins.fbn_exp_accelerate import _core

        return _core.launch(self, job_overrides, initial_job_idx)
