"""Networks + intervention + benchmark → scores, beside the baseline and matched controls."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from fbn_exp.analysis.base import Analysis
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.benchmarks.evaluator import Controls, Scorer, select_factors
from fbn_exp.core import ranks
from fbn_exp.core.checks import typed
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.config import ControlKind, ControlsConfig
from fbn_exp.interventions.controls import draw_controls
from fbn_exp.interventions.fold import export
from fbn_exp.interventions.rules import Intervention, NoIntervention
from fbn_exp.interventions.target import Target, choose_target, no_target
from fbn_exp.models.load import LanguageModel, load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import mask_metrics
from fbn_exp.report.lesions import keep_lesion
from fbn_exp.report.verdict import print_verdict
from fbn_exp.stages.analyse import analyse
from fbn_exp.stages.build import Parts, built, extraction_parts, plain
from fbn_exp.stages.checks import objective_of, require_disjoint
from fbn_exp.stages.rank_resources import rank_resources
from fbn_exp.stages.track import track
from fbn_exp.tracking.base import RunInfo

log = logging.getLogger(__name__)


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
        analysis = built(cfg.analysis, Analysis)  # type: ignore[type-abstract]
        return ranks.run_on_leader(lambda: analyse(cfg, parts, analysis), rank_resources(parts))
    benchmark = built(cfg.benchmark, Benchmark)  # type: ignore[type-abstract]
    controls = typed(cfg.controls, ControlsConfig)
    if cfg.select_factor:
        # before a model loads: not every benchmark has a dev part
        benchmark.on(Split.dev)
    work = lambda: _evaluate(cfg, parts, intervention, benchmark, controls)  # noqa: E731
    return ranks.run_on_leader(work, rank_resources(parts, benchmark))


def _evaluate(
    cfg: DictConfig,
    parts: Parts,
    intervention: Intervention,
    benchmark: Benchmark,
    controls: ControlsConfig,
) -> float | None:
    """What rank 0 does; other ranks help it to record and to score."""
    folder = RunFolder(Path(cfg.run.folder), "evaluate")
    info = RunInfo("evaluate", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        lm = load(parts.model, parts.cache)
        target, networks = _target(cfg, intervention, parts, lm, folder)
        provenance = {"text_digests": []} if networks is None else networks.provenance
        if networks is not None:
            folder.add_metrics(mask_metrics(networks.masks(parts.threshold)))
        if cfg.export.path is not None:
            # before anything is scored: an edit that cannot be folded is said at once
            export(lm, target.layout, intervention.edit(target), Path(cfg.export.path).expanduser())
            log.info("model with the intervention in its weights: %s", cfg.export.path)
        benchmark.prepare(lm)
        require_disjoint(provenance, benchmark.text_digests())
        scorer = Scorer(lm, target.layout, benchmark, ScoreCache(parts.cache / "scores"))
        drawn = _draw(intervention, target, controls)
        if cfg.select_factor:
            comparisons = _selected(scorer, intervention, list(cfg.factors), target, drawn, folder)
        else:
            scorer.announce(2 + sum(map(len, drawn.values())) if drawn else 1)
            comparisons = scorer.compare(intervention, target, drawn)
        _report(folder, comparisons, intervention, target, drawn)
        own = networks is not None and networks.provenance.get("weight_digest") == lm.weight_digest
        if networks is not None and own and intervention.single_factor == 0 and len(target.networks) == 1:
            keep_lesion(
                comparisons, networks, target, parts.threshold, parts.cache, benchmark.key(), cfg.networks
            )
        track(tracked, folder, provenance)
    print_verdict(comparisons, intervention, target)
    return objective_of(cfg.objective, folder.metrics)


def _target(
    cfg: DictConfig, intervention: Intervention, parts: Parts, lm: LanguageModel, folder: RunFolder
) -> tuple[Target, FunctionalNetworks | None]:
    """The neurons to intervene on, and their networks; neither for an untouched model."""
    if isinstance(intervention, NoIntervention):
        return no_target(lm.layout(parts.site)), None
    networks = parts.networks(cfg.networks, lm, folder.path, cfg.same_weights)
    return choose_target(networks, parts.threshold, intervention.networks), networks


def _draw(intervention: Intervention, target: Target, controls: ControlsConfig) -> Controls:
    if isinstance(intervention, NoIntervention):
        return {}
    drawn = draw_controls(target, controls.repeats, controls.seed, controls.share)
    if not drawn:
        log.warning("no controls: the networks hold %d of %d neurons", target.size, target.layout.n_neurons)
    return drawn


def _selected(
    scorer: Scorer,
    intervention: Intervention,
    factors: list[float],
    target: Target,
    drawn: Controls,
    folder: RunFolder,
) -> list[Comparison]:
    """Choose a factor for each task on dev, and compare on test at the chosen ones only."""
    on_dev = scorer.benchmark.on(Split.dev)
    on_dev.prepare(scorer.lm)
    dev = Scorer(scorer.lm, scorer.layout, on_dev, scorer.cache, Split.dev)
    chosen = select_factors(dev, intervention, factors, target)
    by_factor: dict[float, set[str]] = {}
    for name, factor in chosen.items():
        by_factor.setdefault(factor, set()).add(scorer.benchmark.name_on_test(name))
    scorer.announce(1 + len(by_factor) * (1 + sum(map(len, drawn.values()))))
    found = []
    for factor, names in by_factor.items():
        compared = scorer.compare(intervention.with_factor(factor), target, drawn)
        for each in compared:
            if each.score.name in names:
                found.append(each)
                folder.add_metrics({f"selected_factor/{each.score.name}": factor})
    folder.add_metrics({"factors_tried": len(set(factors))})
    return found


def _report(
    folder: RunFolder,
    comparisons: list[Comparison],
    intervention: Intervention,
    target: Target,
    drawn: Controls,
) -> None:
    """Tables and numbers, the same under the same names everywhere."""
    rows = []
    for each in comparisons:
        folder.add_metrics(each.metrics())
        factor = folder.metrics.get(f"selected_factor/{each.score.name}", intervention.single_factor)
        head = {
            "intervention": intervention.describe(),
            "factor": factor,
            "networks": "all" if intervention.networks == "all" else ",".join(map(str, target.networks)),
            "neurons": target.size,
            "activity_ratio": _likeness(drawn).get(f"control/{ControlKind.activation.value}/activity_ratio"),
        }
        rows.append(head | each.row())
    folder.add_table("scores", pd.DataFrame(rows))
    folder.add_table("items", _items(comparisons))
    written = _written(comparisons)
    if not written.empty:
        folder.add_table("texts", written)
    folder.add_metrics({"neurons": target.size, **_likeness(drawn)})


def _likeness(drawn: Controls) -> dict[str, float]:
    """How like the networks the controls are, mean over the draws of each kind."""
    found = {}
    for kind, controls in drawn.items():
        found[f"control/{kind.value}/same_block"] = float(np.mean([each.same_block for each in controls]))
        ratios = [each.activity_ratio for each in controls]
        found[f"control/{kind.value}/activity_ratio"] = float(np.mean(ratios))
    return found


def _items(comparisons: list[Comparison]) -> pd.DataFrame:
    """Per-item values with the intervention and without."""
    frames = [
        pd.DataFrame(
            {
                "task": each.score.task,
                "metric": each.score.metric,
                "item": range(each.score.n),
                "value": each.score.items,
                "baseline": each.baseline.items,
            }
        )
        for each in comparisons
        if each.score.items is not None
    ]
    return (
        pd.concat(frames) if frames else pd.DataFrame(columns=["task", "metric", "item", "value", "baseline"])
    )


def _written(comparisons: list[Comparison]) -> pd.DataFrame:
    """What was written, side by side: untouched, with the intervention, with one control of each kind."""
    for each in comparisons:
        if each.score.texts is not None:
            columns = {"untouched": each.baseline.texts, "intervened": each.score.texts}
            columns |= {f"{kind.value} control": scores[0].texts for kind, scores in each.controls.items()}
            return pd.DataFrame(columns)
    return pd.DataFrame()
