"""Fine-tune a model for a task, as a whole or only inside or outside its networks; save a checkpoint."""

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from fbn_exp.analysis.keystones.scan import known_keystones
from fbn_exp.benchmarks.score import Score
from fbn_exp.core import ranks
from fbn_exp.core.files import new_folder
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.fold import export
from fbn_exp.interventions.rules import NoIntervention
from fbn_exp.interventions.target import Target, choose_target
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import take
from fbn_exp.models.saving import save_checkpoint
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.console import show
from fbn_exp.report.training import Training, present_forgetting, present_training, training_names
from fbn_exp.stages.results import keep, objective_of, opened_run, require_objective, track
from fbn_exp.stages.scripts.own_folder import fingerprint, finished_before
from fbn_exp.stages.training_parts import TrainingParts, training_parts
from fbn_exp.tracking.base import TrackedRun
from fbn_exp.training.callbacks import Stream
from fbn_exp.training.forgetting import compare_after, require_unseen, scores_before
from fbn_exp.training.history import history_table
from fbn_exp.training.loop import fit, trained_parameters
from fbn_exp.training.tasks import PreparedTask

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"


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
    if (metrics := _trained_before(cfg)) is not None:
        return objective_of(cfg.objective, metrics) if ranks.is_first() else None
    if not ranks.is_first():
        _follow(parts, Path(cfg.run.folder))
        return None
    with opened_run(cfg, "train", parts.tracker) as (folder, tracked):
        plan = _plan(parts)
        before, dev_before = _scores_before(plan)
        scored = [score.name for score in (*before, *plan.others_before)]
        require_objective(cfg.objective, training_names(scored))
        training = _train(parts, plan, dev_before, folder.path / "checkpoints", tracked)
        keep(present_training(training), folder, parts.figures.dpi)
        folder.artifacts["checkpoint"] = _save(parts, plan, folder.path / CHECKPOINT)
        folder.write()
        # score the model that is saved
        with plan.lesioned() if parts.fold else nullcontext():
            after = plan.prepared.test.score(plan.prepared.lm)
            changed = compare_after(parts.forgetting, plan.lm, plan.others_before, before, after)
        presentation = present_forgetting(changed, training)
        keep(presentation, folder, parts.figures.dpi)
        track(tracked, folder, None if plan.networks is None else plan.networks.provenance, cfg.networks)
    show(
        presentation,
        ("Model:  ", folder.artifacts["checkpoint"]),
        ("Numbers:", folder.path / "result.json"),
        ("Tables: ", folder.path / "tables"),
        *(("Picture:", file) for file in folder.figures.values()),
    )
    return objective_of(cfg.objective, folder.metrics)


def _trained_before(cfg: DictConfig) -> dict[str, float] | None:
    """Return the metrics of a finished run whose checkpoint is there; None if it is to be trained."""
    folder = Path(cfg.run.folder)
    metrics = finished_before(folder, fingerprint(cfg))
    if metrics is None or cfg.overwrite or not (folder / CHECKPOINT).is_dir():
        return None
    log.info("%s was trained before with these settings; overwrite=true trains it again", folder)
    return metrics


def _follow(parts: TrainingParts, folder: Path) -> None:
    """Train on a rank other than 0: on its share of every batch, without writing results."""
    plan = _plan(parts)
    _scores_before(plan)
    parts.trainable.prepare(plan.model, _trained_neurons(parts, plan.networks))
    with plan.lesioned():
        fit(plan.prepared, parts.trainer, folder / "checkpoints")


@dataclass(frozen=True)
class _Plan:
    """Objects that every rank has loaded: the original model, the task, and scores before training."""

    lm: LanguageModel
    networks: FunctionalNetworks | None
    others_before: list[Score]
    prepared: PreparedTask
    edit: Edit | None

    @property
    def model(self) -> torch.nn.Module:
        """Model that is trained, a classifier with its head."""
        return self.prepared.lm.model

    @contextmanager
    def lesioned(self) -> Iterator[None]:
        """Apply the intervention that the model is trained under, if any, while the context is open."""
        if self.networks is None or self.edit is None:
            yield
            return
        with applied(self.model, self.networks.layout, self.edit):
            yield


def _plan(parts: TrainingParts) -> _Plan:
    lm = take(_precise(parts.model), parts.cache)
    networks = _networks(parts, lm)
    site = parts.site if networks is None else networks.layout.site
    # before a head replaces the output layer
    others_before = scores_before(parts.forgetting, lm, site, parts.cache)
    prepared = parts.task.prepare(lm, parts.dataset)
    require_unseen(parts.forgetting, prepared.texts)
    return _Plan(lm, networks, others_before, prepared, _edit(parts, networks, lm))


def _scores_before(plan: _Plan) -> tuple[list[Score], list[Score]]:
    """Score the model before training: on test without, on dev with the intervention."""

    def scored() -> tuple[list[Score], list[Score]]:
        test = plan.prepared.test.score(plan.prepared.lm)
        with plan.lesioned():
            return test, plan.prepared.dev.score(plan.prepared.lm)

    # the other ranks wait; this tells them that rank 0 is alive
    scores = ranks.run_on_leader(scored, lambda name: None)
    assert scores is not None
    return scores


def _trained_neurons(parts: TrainingParts, networks: FunctionalNetworks | None) -> Target | None:
    """Return the neurons that select the trained parameters; None if no neurons do."""
    if networks is None or not parts.trainable.needs_networks:
        return None
    return choose_target(networks, parts.threshold, parts.trainable.networks)


def _precise(config: ModelConfig) -> ModelConfig:
    """Load weights in float32 unless a dtype is set: small updates vanish in bfloat16."""
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


def _edit(parts: TrainingParts, networks: FunctionalNetworks | None, lm: LanguageModel) -> Edit | None:
    """Return the edit of the neurons during training, None without an intervention."""
    if networks is None or isinstance(parts.intervention, NoIntervention):
        return None
    needed = parts.intervention.needs_keystones
    keystones = known_keystones(parts.cache, lm, networks.layout) if needed else None
    return parts.intervention.edit(parts.intervention.target(networks, parts.threshold, keystones))


def _train(
    parts: TrainingParts, plan: _Plan, dev_before: list[Score], checkpoints: Path, tracked: TrackedRun
) -> Training:
    target, prepared = _trained_neurons(parts, plan.networks), plan.prepared
    total = sum(each.numel() for each in plan.model.parameters())
    finish = parts.trainable.prepare(prepared.lm.model, target)
    trained = sum(each.numel() for each in trained_parameters(plan.model).values())
    log.info("trainable=%s: %s of %s parameters", parts.trainable.describe(), f"{trained:,}", f"{total:,}")
    if prepared.lm.labels is not None:
        log.info("the classification head is among the trained parameters")
    started = time.perf_counter()
    with plan.lesioned():
        state = fit(prepared, parts.trainer, checkpoints, [Stream(tracked.metrics)])
        lesioned = [] if plan.edit is None else prepared.test.score(prepared.lm)
    finish()
    return Training(
        trainable=parts.trainable.describe(),
        n_parameters=total,
        n_trained=trained,
        n_neurons=None if target is None else target.size,
        n_texts=len(prepared.texts),
        n_steps=state.global_step,
        best_step=state.best_global_step,
        seconds=time.perf_counter() - started,
        history=history_table(state.log_history, dev_before, prepared.loss),
        loss=prepared.loss,
        chance=next((each.chance for each in dev_before if each.metric == "acc"), None),
        lesioned=lesioned,
    )


def _save(parts: TrainingParts, plan: _Plan, checkpoint: Path) -> Path:
    """Save a checkpoint with its tokenizer, the intervention folded into its weights if ``fold`` is set."""
    lm = plan.prepared.lm
    if parts.fold and plan.networks is not None and plan.edit is not None:
        export(lm, plan.networks.layout, plan.edit, checkpoint)
    else:
        with new_folder(checkpoint) as partial:
            save_checkpoint(lm.model, lm.tokenizer, partial)
    return checkpoint
