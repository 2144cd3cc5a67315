"""Fine-tune a model for a task, whole or only inside or outside its networks → an ordinary checkpoint."""

import dataclasses
import logging
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.markup import escape
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from fbn_exp import figures, ranks
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.config.choices import Precision, Site, Split
from fbn_exp.config.options import FiguresConfig, ModelConfig
from fbn_exp.config.training import TrainerConfig
from fbn_exp.console import console
from fbn_exp.datasets.base import TextDataset
from fbn_exp.edits import Edit, applied
from fbn_exp.errors import ConfigError
from fbn_exp.files import new_folder
from fbn_exp.fold import export
from fbn_exp.interventions import Intervention, NoIntervention
from fbn_exp.models import LanguageModel, take
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.stages.build import built, plain, typed
from fbn_exp.stages.checks import objective_of
from fbn_exp.stages.forgetting import Memory, print_forgetting
from fbn_exp.stages.run_folder import RunFolder
from fbn_exp.targets import Target, choose_target
from fbn_exp.thresholds import Threshold
from fbn_exp.tracking import RunInfo, TrackedRun, Tracker
from fbn_exp.training.loop import check, fit, last_checkpoint, trained_parameters
from fbn_exp.training.report import draw_history, history_table
from fbn_exp.training.tasks import Lesson, Task
from fbn_exp.training.trainable import Trainable

log = logging.getLogger(__name__)


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


def run(cfg: DictConfig) -> float | None:
    """Train as ``conf/train.yaml`` composes it.

    Parameters
    ----------
    cfg : DictConfig
        A ``TrainConfig``; ``run.folder`` says where everything is written.

    Returns
    -------
    float or None
        The metric that ``objective`` names.

    Raises
    ------
    FbnError
        If a setting, the model, the networks or the texts cannot be used.
    """
    parts = training_parts(cfg)
    if not ranks.is_first():
        _follow(parts, Path(cfg.run.folder))
        return None
    folder = RunFolder(Path(cfg.run.folder), "train")
    info = RunInfo("train", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        lm = take(_precise(parts.model), parts.cache)
        networks = _networks(parts, lm)
        site = parts.site if networks is None else networks.layout.site
        memory = Memory(parts.forgetting, parts.trainable.describe(), lm, site, parts.cache)
        lesson = parts.task.lesson(lm, parts.dataset)
        memory.require_unseen(lesson.texts)
        before = lesson.test.score(lesson.lm)
        edit = _edit(parts, networks)
        _train(parts, lesson, networks, edit, folder, tracked)
        _save(parts, lesson, networks, edit, folder)
        after = lesson.test.score(lesson.lm)
        folder.add_metrics({"memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})
        table = memory.compared(lm, before, after, folder)
        _track(tracked, folder, networks)
    print_forgetting(table)
    console.print(
        f"Model: {escape(os.path.relpath(folder.path / 'checkpoint'))}", soft_wrap=True, highlight=False
    )
    return objective_of(cfg.objective, folder.metrics)


def _follow(parts: TrainingParts, folder: Path) -> None:
    """What a rank other than 0 does: it trains on its share of every batch, and writes nothing."""
    lm = take(_precise(parts.model), parts.cache)
    networks = _networks(parts, lm)
    lesson = parts.task.lesson(lm, parts.dataset)
    parts.trainable.prepare(lesson.lm.model, _trained_neurons(parts, networks))
    with _lesioned(lesson.lm.model, networks, _edit(parts, networks)):
        fit(lesson, parts.trainer, folder / "checkpoints")


def _trained_neurons(parts: TrainingParts, networks: FunctionalNetworks | None) -> Target | None:
    """The neurons that say what is trained, where any do."""
    if networks is None or not parts.trainable.needs_networks:
        return None
    return choose_target(networks, parts.threshold, parts.trainable.networks)


def _precise(config: ModelConfig) -> ModelConfig:
    """Weights in float32 unless asked otherwise: small updates vanish in bfloat16."""
    if config.dtype is Precision.auto:
        return dataclasses.replace(config, dtype=Precision.float32)
    return config


def _networks(parts: TrainingParts, lm: LanguageModel) -> FunctionalNetworks | None:
    if parts.networks is None:
        return None
    networks = FunctionalNetworks.load(parts.networks)
    networks.require_layout(lm.layout(networks.layout.site), lm.name)
    networks.require_weights(lm.weight_digest, lm.name)
    return networks


def _edit(parts: TrainingParts, networks: FunctionalNetworks | None) -> Edit | None:
    """What is done to the neurons while training, None for nothing."""
    if networks is None or isinstance(parts.intervention, NoIntervention):
        return None
    return parts.intervention.edit(choose_target(networks, parts.threshold, parts.intervention.networks))


def _train(
    parts: TrainingParts,
    lesson: Lesson,
    networks: FunctionalNetworks | None,
    edit: Edit | None,
    folder: RunFolder,
    tracked: TrackedRun,
) -> None:
    model = lesson.lm.model
    target = _trained_neurons(parts, networks)
    if target is not None:
        folder.add_metrics({"neurons": target.size})
    total = sum(each.numel() for each in model.parameters())
    dev_before = lesson.dev.score(lesson.lm)
    finish = parts.trainable.prepare(model, target)
    trained = sum(each.numel() for each in trained_parameters(model).values())
    log.info("trainable=%s: %s of %s parameters", parts.trainable.describe(), f"{trained:,}", f"{total:,}")
    if lesson.lm.labels is not None:
        log.info("the classification head is among them")
    folder.add_metrics({"parameters": total, "parameters/trainable": trained, "texts": len(lesson.texts)})
    started = time.perf_counter()
    with _lesioned(model, networks, edit):
        state = fit(lesson, parts.trainer, folder.path / "checkpoints", [_Stream(tracked)])
        if edit is not None:
            lesioned = {f"lesioned/{each.name}": each.value for each in lesson.test.score(lesson.lm)}
            folder.add_metrics(lesioned)
    finish()
    best = state.best_global_step
    seconds = time.perf_counter() - started
    folder.add_metrics({"steps": state.global_step, "best_step": best or 0, "training/seconds": seconds})
    table = history_table(state.log_history, dev_before, lesson.loss)
    folder.add_table("training", table)
    chance = next((each.chance for each in dev_before if each.metric == "acc"), None)
    picture = folder.path / "figures" / "training.png"
    draw_history(table, lesson.loss, best, chance, picture, parts.figures.dpi)
    folder.artifacts["figures/training"] = picture


@contextmanager
def _lesioned(
    model: torch.nn.Module, networks: FunctionalNetworks | None, edit: Edit | None
) -> Iterator[None]:
    if networks is None or edit is None:
        yield
        return
    with applied(model, networks.layout, edit):
        yield


def _save(
    parts: TrainingParts,
    lesson: Lesson,
    networks: FunctionalNetworks | None,
    edit: Edit | None,
    folder: RunFolder,
) -> None:
    """An ordinary checkpoint with its tokenizer; the intervention is in it only if ``fold`` asks for that."""
    checkpoint = folder.path / "checkpoint"
    if parts.fold and networks is not None and edit is not None:
        export(lesson.lm, networks.layout, edit, checkpoint)
    else:
        with new_folder(checkpoint) as partial:
            lesson.lm.model.save_pretrained(partial)
            lesson.lm.tokenizer.save_pretrained(partial)
    folder.artifacts["checkpoint"] = checkpoint
    folder.write()


class _Stream(TrainerCallback):
    """Sends what the loop logs to the tracker while it runs."""

    def __init__(self, tracked: TrackedRun) -> None:
        self.tracked = tracked

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        numbers = {
            f"training/{name.replace('eval_', 'dev_')}": float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float)
        }
        self.tracked.metrics({"training/step": state.global_step, **numbers})


def _track(tracked: TrackedRun, folder: RunFolder, networks: FunctionalNetworks | None) -> None:
    folder.track(tracked)
    if networks is not None:
        tracked.lineage(networks.provenance)
