"""Objects of a training run, checked before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.core.checks import typed
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import TextDataset
from fbn_exp.interventions.rules import Intervention
from fbn_exp.models.config import ModelConfig
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.report.config import FiguresConfig
from fbn_exp.stages.build import built
from fbn_exp.thresholds.base import Threshold
from fbn_exp.tracking.base import Tracker
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.tasks import Task
from fbn_exp.training.trainable import Trainable


@dataclass(frozen=True)
class TrainingParts:
    """Checked objects that a training run needs."""

    site: Site
    cache: Path
    networks: Path | None
    model: ModelConfig
    dataset: TextDataset
    task: Task
    trainable: Trainable
    trainer: TrainerConfig
    threshold: Threshold
    intervention: Intervention
    fold: bool
    forgetting: dict[str, Benchmark]
    tracker: Tracker
    figures: FiguresConfig


def training_parts(cfg: DictConfig) -> TrainingParts:
    """Build the objects of all config groups.

    Raises
    ------
    FbnError
        If any setting is out of range or contradicts another one; nothing has been loaded by then.
    """
    # also checks that settings do not contradict each other
    typed(cfg, object)
    return TrainingParts(
        site=cfg.site,
        cache=Path(cfg.cache),
        networks=None if cfg.networks is None else local_folder(cfg.networks),
        model=typed(cfg.model, ModelConfig),
        dataset=built(cfg.dataset, TextDataset),  # type: ignore[type-abstract]
        task=built(cfg.task, Task),  # type: ignore[type-abstract]
        trainable=built(cfg.trainable, Trainable),  # type: ignore[type-abstract]
        trainer=typed(cfg.trainer, TrainerConfig),
        threshold=built(cfg.threshold, Threshold),  # type: ignore[type-abstract]
        intervention=built(cfg.intervention, Intervention),  # type: ignore[type-abstract]
        fold=cfg.fold,
        forgetting={str(name): built(benchmark, Benchmark) for name, benchmark in cfg.forgetting.items()},  # type: ignore[type-abstract]
        tracker=built(cfg.tracking, Tracker),  # type: ignore[type-abstract]
        figures=typed(cfg.figures, FiguresConfig),
    )
