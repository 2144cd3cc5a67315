"""What Hydra finds: the launcher's name and its class; everything heavy is in ``_core``."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class AccelerateLauncherConfig:
    """The settings themselves are in the config group ``launch``."""

    _target_: str = "hydra_plugins.fbn_exp_accelerate.accelerate_launcher.AccelerateLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="fbn_accelerate", node=AccelerateLauncherConfig, provider="fbn_exp"
)


class AccelerateLauncher(Launcher):
    """Resolves each job once, writes it into the job's folder, and starts its processes."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what ``launch`` needs."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, ``launch.jobs_at_once`` side by side; one that fails leaves the others alone."""
        from hydra_plugins.fbn_exp_accelerate import _core

        return _core.launch(self, job_overrides, initial_job_idx)
