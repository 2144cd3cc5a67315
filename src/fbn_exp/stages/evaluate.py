"""Networks + intervention + benchmark → scores, beside the baseline and matched controls."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from fbn_exp.analysis.base import Analysis
from fbn_exp.analysis.keystones.analysis import obtain_keystones
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.evaluator import Evaluation, Scorer, evaluate
from fbn_exp.benchmarks.selection import evaluate_selected
from fbn_exp.benchmarks.sizes import SizeMeasure
from fbn_exp.core import ranks
from fbn_exp.core.checks import typed
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.edit import no_edit
from fbn_exp.interventions.rules import Intervention, NoIntervention
from fbn_exp.interventions.sample.activations import ActivationSample
from fbn_exp.interventions.sample.recording import obtain_sample, sample_texts
from fbn_exp.interventions.target import Target, no_target
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.console import show
from fbn_exp.report.networks import halves_metrics, mask_metrics, text_metrics
from fbn_exp.report.scores import evaluation_names, present_evaluation
from fbn_exp.stages.build import Parts, built, extraction_parts
from fbn_exp.stages.controls import drawn_controls, scan_for_controls
from fbn_exp.stages.rank_resources import rank_resources
from fbn_exp.stages.results import keep, objective_of, opened_run, require_family, require_objective, track

log = logging.getLogger(__name__)

# number of scorings of controls above which their cost is a warning
MANY_SCORINGS = 1_000


def run(cfg: DictConfig) -> float | None:
    """Evaluate as ``conf/evaluate.yaml`` composes it.

    Parameters
    ----------
    cfg : DictConfig
        An ``EvaluateConfig``; ``run.folder`` says where everything is written.

    Returns
    -------
    float or None
        The metric that ``objective`` names.

    Raises
    ------
    FbnError
        If a setting, the model, the networks or the benchmark cannot be used.
    """
    parts = extraction_parts(cfg)
    intervention = built(cfg.intervention, Intervention)  # type: ignore[type-abstract]
    if cfg.analysis is not None:
        from fbn_exp.stages.analyse import analyse  # late: imports matplotlib

        analysis = built(cfg.analysis, Analysis)  # type: ignore[type-abstract]
        require_family(cfg.objective, analysis.families)
        return ranks.run_on_leader(lambda: analyse(cfg, parts, analysis), rank_resources(parts))
    benchmark = built(cfg.benchmark, Benchmark)  # type: ignore[type-abstract]
    controls = typed(cfg.controls, ControlsConfig)
    if cfg.select_factor:
        # check before a model loads: not every benchmark has a dev part
        benchmark.on(Split.dev)
    if (names := benchmark.score_names()) is not None:
        require_objective(cfg.objective, evaluation_names(names))
    work = lambda: _evaluate(cfg, parts, intervention, benchmark, controls)  # noqa: E731
    return ranks.run_on_leader(work, rank_resources(parts, benchmark))


def _evaluate(
    cfg: DictConfig,
    parts: Parts,
    intervention: Intervention,
    benchmark: Benchmark,
    controls: ControlsConfig,
) -> float | None:
    """Evaluate on rank 0; the other ranks help to record and to score."""
    with opened_run(cfg, "evaluate", parts.tracker) as (folder, tracked):
        lm = load(parts.model, parts.cache)
        target, networks, sample = _target(cfg, intervention, parts, controls, lm, folder.path)
        if networks is not None:
            folder.add_metrics(mask_metrics(networks.masks(parts.threshold)))
            folder.add_metrics(text_metrics(networks))
            folder.add_metrics(halves_metrics(networks, target.networks))
            folder.write()
        if cfg.export.path is not None:
            from fbn_exp.interventions.fold import export  # late: needed for export only

            # before scoring: an edit that cannot be folded is refused at once
            export(lm, target.layout, intervention.edit(target), Path(cfg.export.path).expanduser())
            log.info("model with the intervention in its weights: %s", cfg.export.path)
        benchmark.prepare(lm)
        remarks = [] if networks is None else networks.require_unseen(benchmark.text_digests())
        scorer = Scorer(lm, target.layout, benchmark, ScoreCache(parts.cache / "scores"))
        _require_objective(cfg.objective, scorer)
        if not isinstance(intervention, NoIntervention) and controls.scorings > MANY_SCORINGS:
            # before they are drawn, which takes a while too
            cost = scorer.cost(controls.scorings)
            log.warning("controls.repeats=%d asks for %s", controls.repeats, cost)
        drawn = drawn_controls(intervention, target, networks, sample, lm, parts, controls)
        if cfg.select_factor:
            evaluation = evaluate_selected(scorer, intervention, list(cfg.factors), target, drawn.by_kind)
        else:
            evaluation = evaluate(scorer, intervention, target, drawn.by_kind)
        if sample is not None:
            evaluation = evaluation.with_sizes(
                SizeMeasure(partial(sample.size, model=lm.model), sample.energy)
            )
        presentation = present_evaluation(
            evaluation, [*remarks, *drawn.remarks, *benchmark.remarks()], controls.keep_items
        )
        keep(presentation, folder, parts.figures.dpi)
        if cfg.keep_lesion and networks is not None and _is_lesion_of_one(evaluation, networks, lm):
            from fbn_exp.report.lesions import keep_lesion  # late: imports matplotlib

            about = (benchmark.key(), cfg.networks, remarks)
            keep_lesion(evaluation, networks, parts.threshold, parts.cache, *about)
        track(tracked, folder, None if networks is None else networks.provenance, cfg.networks)
    show(
        presentation,
        ("Numbers:", folder.path / "result.json"),
        ("Tables: ", folder.path / "tables"),
        *(("Picture:", file) for file in folder.figures.values()),
    )
    return objective_of(cfg.objective, folder.metrics)


def _require_objective(objective: str | None, scorer: Scorer) -> None:
    """Refuse an objective that no metric has; after one scoring if only that tells the names."""
    if objective is not None:
        names = scorer.benchmark.score_names()
        if names is None:
            names = {score.name for score in scorer.scores(no_edit(scorer.layout.n_neurons))}
        require_objective(objective, evaluation_names(names))


def _is_lesion_of_one(evaluation: Evaluation, networks: FunctionalNetworks, lm: LanguageModel) -> bool:
    """Return True for a lesion of a single network in the same weights that it was extracted from."""
    same_weights = networks.provenance.get("weight_digest") == lm.weight_digest
    inhibited = evaluation.intervention.is_plain_lesion and not evaluation.factors
    return same_weights and inhibited and len(evaluation.target.networks) == 1


def _target(
    cfg: DictConfig,
    intervention: Intervention,
    parts: Parts,
    controls: ControlsConfig,
    lm: LanguageModel,
    scratch: Path,
) -> tuple[Target, FunctionalNetworks | None, ActivationSample | None]:
    """Return the neurons to intervene on, their networks and a sample of activations, if any."""
    if isinstance(intervention, NoIntervention):
        return no_target(lm.layout(parts.site)), None, None
    networks = parts.networks(cfg.networks, lm, scratch, cfg.same_weights)
    keystones = None
    if intervention.needs_keystones:
        keystones = obtain_keystones(parts.dataset, lm, networks.layout, parts.cache, scratch)
    elif controls.scans:
        scan_for_controls(lm, networks.layout, parts, scratch)
    target = intervention.target(networks, parts.threshold, keystones)
    texts = sample_texts(parts.dataset, lm, target.layout)
    sample = obtain_sample(lm, target.layout, texts, parts.cache)
    return replace(target, donors=sample.donors(cfg.seed)), networks, sample
