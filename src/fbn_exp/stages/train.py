"""Fine-tune a model for a task, whole or only inside or outside its networks → an ordinary checkpoint."""

import dataclasses
import logging
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.markup import escape
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from fbn_exp.benchmarks.score import Score
from fbn_exp.core import ranks
from fbn_exp.core.console import console
from fbn_exp.core.files import new_folder
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.fold import export
from fbn_exp.interventions.rules import NoIntervention
from fbn_exp.interventions.target import Target, choose_target
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.load import LanguageModel, take
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.forgetting import print_forgetting
from fbn_exp.stages.build import plain
from fbn_exp.stages.checks import objective_of
from fbn_exp.stages.track import track
from fbn_exp.stages.training_parts import TrainingParts, training_parts
from fbn_exp.tracking.base import RunInfo, TrackedRun
from fbn_exp.training.forgetting import Memory
from fbn_exp.training.history import draw_history, history_table
from fbn_exp.training.loop import fit, trained_parameters
from fbn_exp.training.tasks import PreparedTask

log = logging.getLogger(__name__)


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
        plan = _plan(parts)
        before, dev_before = _scores_before(plan)
        _train(parts, plan, dev_before, folder, tracked)
        _save(parts, plan, folder)
        # scores are those of the model that is saved
        with plan.lesioned() if parts.fold else nullcontext():
            after = plan.prepared.test.score(plan.prepared.lm)
            table = plan.memory.compared(plan.lm, before, after, folder)
        folder.add_metrics({"memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})
        track(tracked, folder, None if plan.networks is None else plan.networks.provenance)
    print_forgetting(table)
    console.print(
        f"Model: {escape(os.path.relpath(folder.path / 'checkpoint'))}", soft_wrap=True, highlight=False
    )
    return objective_of(cfg.objective, folder.metrics)


def _follow(parts: TrainingParts, folder: Path) -> None:
    """What a rank other than 0 does: it trains on its share of every batch, and writes nothing."""
    plan = _plan(parts)
    _scores_before(plan)
    parts.trainable.prepare(plan.model, _trained_neurons(parts, plan.networks))
    with plan.lesioned():
        fit(plan.prepared, parts.trainer, folder / "checkpoints")


@dataclass(frozen=True)
class _Plan:
    """What every rank has loaded: the model as it was, what it learns, and what it may forget."""

    lm: LanguageModel
    networks: FunctionalNetworks | None
    memory: Memory
    prepared: PreparedTask
    edit: Edit | None

    @property
    def model(self) -> torch.nn.Module:
        """The model that is trained, of a classifier with its head."""
        return self.prepared.lm.model

    @contextmanager
    def lesioned(self) -> Iterator[None]:
        """Apply the intervention that the model is trained under; none, if there is none."""
        if self.networks is None or self.edit is None:
            yield
            return
        with applied(self.model, self.networks.layout, self.edit):
            yield


def _plan(parts: TrainingParts) -> _Plan:
    lm = take(_precise(parts.model), parts.cache)
    networks = _networks(parts, lm)
    site = parts.site if networks is None else networks.layout.site
    memory = Memory(parts.forgetting, parts.trainable.describe())
    # before a head takes the place of the output layer
    memory.score_before(lm, site, parts.cache)
    prepared = parts.task.prepare(lm, parts.dataset)
    memory.require_unseen(prepared.texts)
    return _Plan(lm, networks, memory, prepared, _edit(parts, networks))


def _scores_before(plan: _Plan) -> tuple[list[Score], list[Score]]:
    """On test as the model is, on dev as it is trained, which is under the intervention."""

    def scored() -> tuple[list[Score], list[Score]]:
        test = plan.prepared.test.score(plan.prepared.lm)
        with plan.lesioned():
            return test, plan.prepared.dev.score(plan.prepared.lm)

    # the other ranks wait, and are told that rank 0 lives
    found = ranks.run_on_leader(scored, lambda name: None)
    assert found is not None
    return found


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
    parts: TrainingParts, plan: _Plan, dev_before: list[Score], folder: RunFolder, tracked: TrackedRun
) -> None:
    target, prepared = _trained_neurons(parts, plan.networks), plan.prepared
    if target is not None:
        folder.add_metrics({"neurons": target.size})
    total = sum(each.numel() for each in plan.model.parameters())
    finish = parts.trainable.prepare(prepared.lm.model, target)
    trained = sum(each.numel() for each in trained_parameters(plan.model).values())
    log.info("trainable=%s: %s of %s parameters", parts.trainable.describe(), f"{trained:,}", f"{total:,}")
    if prepared.lm.labels is not None:
        log.info("the classification head is among them")
    folder.add_metrics({"parameters": total, "parameters/trainable": trained, "texts": len(prepared.texts)})
    started = time.perf_counter()
    with plan.lesioned():
        state = fit(prepared, parts.trainer, folder.path / "checkpoints", [_Stream(tracked)])
        if plan.edit is not None:
            lesioned = {f"lesioned/{each.name}": each.value for each in prepared.test.score(prepared.lm)}
            folder.add_metrics(lesioned)
    finish()
    best = state.best_global_step
    seconds = time.perf_counter() - started
    folder.add_metrics({"steps": state.global_step, "best_step": best or 0, "training/seconds": seconds})
    table = history_table(state.log_history, dev_before, prepared.loss)
    folder.add_table("training", table)
    chance = next((each.chance for each in dev_before if each.metric == "acc"), None)
    picture = folder.path / "figures" / "training.png"
    draw_history(table, prepared.loss, best, chance, picture, parts.figures.dpi)
    folder.artifacts["figures/training"] = picture


def _save(parts: TrainingParts, plan: _Plan, folder: RunFolder) -> None:
    """An ordinary checkpoint with its tokenizer; the intervention is in it only if ``fold`` asks for that."""
    checkpoint, lm = folder.path / "checkpoint", plan.prepared.lm
    if parts.fold and plan.networks is not None and plan.edit is not None:
        export(lm, plan.networks.layout, plan.edit, checkpoint)
    else:
        with new_folder(checkpoint) as partial:
            lm.model.save_pretrained(partial)
            lm.tokenizer.save_pretrained(partial)
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
