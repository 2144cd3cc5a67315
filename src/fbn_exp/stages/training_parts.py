"""Objects that a training run is made of, checked before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import TextDataset
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.rules import Intervention, NoIntervention
from fbn_exp.models.config import ModelConfig
from fbn_exp.report.config import FiguresConfig
from fbn_exp.report.figures import networks as figures
from fbn_exp.stages.build import built, typed
from fbn_exp.thresholds.base import Threshold
from fbn_exp.tracking.base import Tracker
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.loop import check, last_checkpoint
from fbn_exp.training.tasks import Task
from fbn_exp.training.trainable import Trainable


@dataclass(frozen=True)
class TrainingParts:
    """What a training run needs, as objects, all of them checked."""

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
    """Objects of all groups.

    Raises
    ------
    FbnError
        If any setting is out of range or contradicts another one; nothing has been loaded by then.
    """
    parts = TrainingParts(
        site=cfg.site,
        cache=Path(cfg.cache),
        networks=None if cfg.networks is None else Path(cfg.networks).expanduser(),
        model=typed(cfg.model, ModelConfig),
        dataset=built(cfg.dataset, TextDataset),  # type: ignore[type-abstract]
        task=built(cfg.task, Task),  # type: ignore[type-abstract]
        trainable=built(cfg.trainable, Trainable),  # type: ignore[type-abstract]
        trainer=typed(cfg.trainer, TrainerConfig),
        threshold=built(cfg.threshold, Threshold),  # type: ignore[type-abstract]
        intervention=built(cfg.intervention, Intervention),  # type: ignore[type-abstract]
        fold=cfg.fold,
        forgetting={str(name): built(each, Benchmark) for name, each in cfg.forgetting.items()},  # type: ignore[type-abstract]
        tracker=built(cfg.tracking, Tracker),  # type: ignore[type-abstract]
        figures=typed(cfg.figures, FiguresConfig),
    )
    figures.check(parts.figures)
    check(parts.trainer)
    if parts.dataset.split not in (Split.train, Split.all):
        raise ConfigError(
            f"dataset.split is {parts.dataset.split.value}: training takes the train part, and dev and test "
            "for scores, whatever is set here; leave it out"
        )
    lesioned = not isinstance(parts.intervention, NoIntervention)
    if parts.networks is None and (parts.trainable.needs_networks or lesioned):
        why = "an intervention" if lesioned else f"trainable={cfg.trainable._target_.rpartition('.')[2]}"
        raise ConfigError(f"{why} needs networks: networks=FOLDER, written by extract.py for this model")
    if parts.fold and not lesioned:
        raise ConfigError("fold=true writes an intervention into the weights: there is none")
    if parts.trainer.resume is not None:
        last_checkpoint(Path(parts.trainer.resume).expanduser())
    return parts
