"""Prune a model, save what is left as an ordinary checkpoint, and score it before and after."""

import dataclasses
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import Comparison, compare
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.score import Score
from fbn_exp.core import ranks
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.datasets.base import Texts
from fbn_exp.interventions.controls.attribution import cached_attribution
from fbn_exp.interventions.edit import no_edit
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.pruning.activity import Activity, measure_activity
from fbn_exp.pruning.architecture import all_weights
from fbn_exp.pruning.config import Criterion
from fbn_exp.pruning.importance import by_chance, magnitudes, wanda
from fbn_exp.pruning.networks import cached_importance, importance_in
from fbn_exp.pruning.outcome import Pruned, description
from fbn_exp.pruning.plan import Plan, held, plan_pruning
from fbn_exp.pruning.removal import pruned_copy, read_description, reloaded, require_equal, save
from fbn_exp.pruning.selection import Selection, select
from fbn_exp.pruning.speed import compare_speed, size_of
from fbn_exp.report.console import show
from fbn_exp.report.pruning import present_pruning, pruning_names
from fbn_exp.stages.prune.parts import PruningParts, pruning_parts
from fbn_exp.stages.prune.recovery import recover
from fbn_exp.stages.results import keep, objective_of, opened_run, require_objective, track
from fbn_exp.tracking.base import TrackedRun

log = logging.getLogger(__name__)

# checkpoints of a run, and their labels on the console
MODELS = {"checkpoint": "Model:    ", "recovered": "Recovered:"}


def run(cfg: DictConfig) -> float | None:
    """Prune as ``conf/prune.yaml`` composes it.

    Parameters
    ----------
    cfg : DictConfig
        A ``PruneConfig``; ``run.folder`` says where everything is written.

    Returns
    -------
    float or None
        The metric that ``objective`` names.

    Raises
    ------
    FbnError
        If a setting, the model, the networks or the benchmarks cannot be used.
    """
    parts = pruning_parts(cfg)
    if ranks.count() > 1:
        raise ConfigError(
            "prune.py works in one process: take launch=local, or launch.num_processes=1 "
            "for the jobs of a sweep"
        )
    with opened_run(cfg, "prune", parts.base.tracker) as (folder, tracked):
        lm = load(parts.model, parts.base.cache)
        plan = plan_pruning(lm, parts.prune)
        before = _scores(lm, parts)
        require_objective(cfg.objective, pruning_names([score.name for score in before]))
        chosen = _choose(lm, plan, parts, folder.path)
        pruned, left = _prune(lm, plan, chosen, parts, folder)
        comparisons = compare(_scores(left, parts), before, {})
        recovered = _recovered(left, parts, folder, before, tracked)
        if not parts.prune.keep:
            _remove_checkpoints(folder)
        presentation = present_pruning(pruned, comparisons, recovered)
        keep(presentation, folder, parts.base.figures.dpi)
        track(tracked, folder, chosen.provenance, parts.networks)
    places = [(label, folder.artifacts[name]) for name, label in MODELS.items() if name in folder.artifacts]
    places += [("Numbers:  ", folder.path / "result.json"), ("Tables:   ", folder.path / "tables")]
    show(presentation, *places, *(("Picture:  ", file) for file in folder.figures.values()))
    return objective_of(cfg.objective, folder.metrics)


def _remove_checkpoints(folder: RunFolder) -> None:
    for name in MODELS:
        if (place := folder.artifacts.pop(name, None)) is not None:
            shutil.rmtree(place)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Neurons that are pruned, the means of all neurons if a bias makes up for them, origin of networks."""

    selection: Selection
    means: Tensor | None
    provenance: dict[str, Any] | None


def _scores(lm: LanguageModel, parts: PruningParts) -> list[Score]:
    """Score a model on all benchmarks, or take its scores from the cache."""
    layout = lm.layout(Site.mlp_hidden)
    scores: list[Score] = []
    for name, benchmark in parts.forgetting.items():
        log.info("scoring %s: %s", lm.name, name)
        benchmark.prepare(lm)
        scorer = Scorer(lm, layout, benchmark, ScoreCache(parts.base.cache / "scores"))
        scores += scorer.scores(no_edit(layout.n_neurons))
    return scores


def _choose(lm: LanguageModel, plan: Plan, parts: PruningParts, scratch: Path) -> _Chosen:
    """Choose the neurons by the criterion."""
    texts = parts.base.extractor().texts(lm)
    activity = None
    if parts.prune.bias or parts.prune.criterion is Criterion.wanda:
        signals = parts.base.signals
        activity = measure_activity(
            lm, plan.layout, texts, signals.first_tokens_excluded, signals.batch_tokens
        )
    networks = _networks(lm, parts, scratch)
    importance = _importance(lm, plan, parts, texts, activity, networks, scratch)
    selection = select(importance, plan.layout, plan.spared, parts.prune)
    log.info("%s of %s hidden neurons are pruned", f"{int(selection.pruned.sum()):,}", f"{len(importance):,}")
    means = activity.mean if parts.prune.bias and activity is not None else None
    return _Chosen(selection, means, None if networks is None else networks.provenance)


def _networks(lm: LanguageModel, parts: PruningParts, scratch: Path) -> FunctionalNetworks | None:
    """Networks of a folder or of the whole model; those of single blocks are not kept, and None here."""
    base = parts.base
    if parts.prune.criterion is not Criterion.networks or (parts.networks is None and base.method.per_block):
        return None
    return base.networks(parts.networks, lm, scratch, parts.same_weights)


def _importance(
    lm: LanguageModel,
    plan: Plan,
    parts: PruningParts,
    texts: Texts,
    activity: Activity | None,
    networks: FunctionalNetworks | None,
    scratch: Path,
) -> Tensor:
    base, layout = parts.base, plan.layout
    match parts.prune.criterion:
        case Criterion.networks if networks is not None:
            return importance_in(networks, layout, plan.spared)
        case Criterion.networks:
            return cached_importance(base.extractor(), lm, texts, layout, base.cache, scratch)
        case Criterion.magnitude:
            return magnitudes(lm.model, layout)
        case Criterion.wanda:
            assert activity is not None
            return wanda(lm.model, layout, activity.root_mean_square)
        case Criterion.attribution:
            return cached_attribution(lm, layout, texts, base.cache)
        case Criterion.random:
            return by_chance(layout, parts.prune.seed)


def _prune(
    lm: LanguageModel, plan: Plan, chosen: _Chosen, parts: PruningParts, folder: RunFolder
) -> tuple[Pruned, LanguageModel]:
    """Save the pruned checkpoint, load it as any tool would, and compare it with the original."""
    selection, config = chosen.selection, parts.prune
    holding = held(lm, plan, selection, config.bias)
    checkpoint = folder.path / "checkpoint"
    about = description(lm, selection, config, holding.smaller, parts.base.config)
    save(pruned_copy(lm.model, selection, holding, chosen.means), lm, about, checkpoint)
    folder.artifacts["checkpoint"] = checkpoint
    folder.write()
    left = reloaded(lm, checkpoint, parts.base.cache)
    error = require_equal(lm, left, selection, chosen.means)
    pruned = Pruned(
        config=config,
        selection=selection,
        smaller=holding.smaller,
        before=size_of(lm.model, _mlp_parameters(lm)),
        after=size_of(left.model, _mlp_parameters(left), checkpoint),
        speed=compare_speed(lm, left, config.speed_pairs) if config.speed_pairs else None,
        logit_error=error,
        remarks=plan.remarks,
    )
    return pruned, left


def _mlp_parameters(lm: LanguageModel) -> int:
    """Number of parameters of the hidden neurons of a model's MLPs."""
    layout = lm.layout(Site.mlp_hidden)
    count = 0
    for piece in all_weights(lm.model, layout):
        weight: Tensor = getattr(lm.model.get_submodule(piece.module), piece.name)
        count += weight.numel() // weight.shape[piece.dimension] * len(piece.indices)
    return count


def _recovered(
    left: LanguageModel,
    parts: PruningParts,
    folder: RunFolder,
    before: list[Score],
    tracked: TrackedRun,
) -> list[Comparison]:
    """Fine-tune what is left, if asked for, save it, and compare it with the original."""
    if not parts.prune.recovery.max_steps:
        return []
    checkpoints, place = folder.path / "checkpoints", folder.path / "recovered"
    recover(left, parts, checkpoints, tracked.metrics)
    about = read_description(folder.artifacts["checkpoint"])
    save(left.model, left, {**about, "recovery": dataclasses.asdict(parts.prune.recovery)}, place)
    shutil.rmtree(checkpoints)
    folder.artifacts["recovered"] = place
    folder.write()
    trained = reloaded(left, place, parts.base.cache)
    return compare(_scores(trained, parts), before, {})
