"""Networks + intervention + benchmark → scores, beside the baseline and matched controls."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.comparison import Comparison, compare
from fbn_exp.config.choices import ControlKind
from fbn_exp.config.scoring import ControlsConfig
from fbn_exp.controls import draw_controls
from fbn_exp.errors import BenchmarkError, ConfigError
from fbn_exp.fold import export
from fbn_exp.interventions import Edit, Intervention, NoIntervention, applied, no_edit
from fbn_exp.layout import NeuronLayout
from fbn_exp.models import LanguageModel, load
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.score_cache import ScoreCache
from fbn_exp.scores import Score
from fbn_exp.stages.build import built, extraction_parts, plain, typed
from fbn_exp.stages.obtain import obtain_networks
from fbn_exp.stages.run_folder import RunFolder
from fbn_exp.stages.verdict import print_verdict
from fbn_exp.targets import Target, choose_target
from fbn_exp.tracking import RunInfo, TrackedRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scorer:
    """Scores a model under edits, each of them once."""

    lm: LanguageModel
    layout: NeuronLayout
    benchmark: Benchmark
    cache: ScoreCache

    def scores(self, edit: Edit) -> list[Score]:
        """Scores under an edit, from the cache where they are known."""
        touched = bool(edit.touched.any())
        key = {
            "weights": self.lm.weight_digest,
            "dtype": self.lm.dtype,
            "benchmark": self.benchmark.key(),
            # the untouched model is the same whatever the site
            "edit": edit.digest if touched else None,
            "layout": self.layout.to_dict() if touched else None,
        }
        return self.cache.scores(key, lambda: self._compute(edit))

    def _compute(self, edit: Edit) -> list[Score]:
        with applied(self.lm.model, self.layout, edit):
            return self.benchmark.score(self.lm)


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
    benchmark = built(cfg.benchmark, Benchmark)  # type: ignore[type-abstract]
    controls = typed(cfg.controls, ControlsConfig)
    if controls.repeats < 1:
        raise ConfigError(f"controls.repeats is {controls.repeats}, must be at least 1")
    folder = RunFolder(Path(cfg.run.folder), "evaluate")
    info = RunInfo("evaluate", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        lm = load(parts.model, parts.cache)
        benchmark.prepare(lm)
        networks = obtain_networks(cfg.networks, parts, lm, folder.path)
        _require_disjoint(networks, benchmark)
        target = choose_target(networks, parts.threshold, intervention.networks)
        scorer = Scorer(lm, networks.layout, benchmark, ScoreCache(parts.cache / "scores"))
        comparisons = _compare(scorer, intervention, target, controls)
        _report(folder, comparisons, intervention, target, cfg)
        if cfg.export.path is not None:
            export(lm, networks.layout, intervention.edit(target), Path(cfg.export.path))
            log.info("folded model saved: %s", cfg.export.path)
        _track(tracked, folder)
    print_verdict(comparisons, intervention, target)
    return _objective(cfg.objective, folder.metrics)


def _require_disjoint(networks: FunctionalNetworks, benchmark: Benchmark) -> None:
    """Networks are never fitted on text that a benchmark scores."""
    scored = benchmark.text_digests()
    fitted = networks.provenance.get("text_digests")
    if scored is None or fitted is None:
        log.info("it cannot be told whether the networks come from texts that this benchmark scores")
        return
    shared = scored & set(fitted)
    if shared:
        raise BenchmarkError(
            f"{len(shared)} of the {len(scored)} texts of the benchmark are among those that the networks "
            "were extracted from: take disjoint parts, as dataset.split=train benchmark.dataset.split=test"
        )


def _compare(
    scorer: Scorer, intervention: Intervention, target: Target, controls: ControlsConfig
) -> list[Comparison]:
    untouched = isinstance(intervention, NoIntervention)
    drawn = {} if untouched else draw_controls(target, controls.repeats, controls.seed)
    _announce(scorer, runs=1 if untouched else 2 + sum(len(each) for each in drawn.values()))
    started = time.perf_counter()
    baseline = scorer.scores(no_edit(target.layout.n_neurons))
    log.info("baseline: %.1f s", time.perf_counter() - started)
    scores = scorer.scores(intervention.edit(target))
    beside: dict[ControlKind, list[list[Score]]] = {
        kind: [scorer.scores(intervention.edit(each.target)) for each in found]
        for kind, found in drawn.items()
    }
    cache = scorer.cache
    log.info(
        "%d scorings in %.1f s, %d more from the cache",
        cache.misses,
        time.perf_counter() - started,
        cache.hits,
    )
    return compare(scores, baseline, beside)


def _announce(scorer: Scorer, runs: int) -> None:
    tokens = scorer.benchmark.forward_tokens()
    if tokens is None:
        log.info("%d scorings (model untouched, intervened, controls)", runs)
        return
    rate = scorer.lm.forward_rate()
    log.info(
        "%d scorings × %s forward tokens: at most about %.0f s at %.0f tokens/s",
        runs,
        f"{tokens:,}",
        runs * tokens / rate,
        rate,
    )


def _report(
    folder: RunFolder,
    comparisons: list[Comparison],
    intervention: Intervention,
    target: Target,
    cfg: DictConfig,
) -> None:
    table = pd.DataFrame([each.row() for each in comparisons])
    factors = getattr(intervention, "factors", None) or getattr(intervention, "values", None)
    head = {
        "intervention": intervention.describe(),
        "factor": factors[0] if factors and len(factors) == 1 else None,
        "networks": "all" if intervention.networks == "all" else ",".join(map(str, target.networks)),
        "neurons": target.size,
    }
    for place, (name, value) in enumerate(head.items()):
        table.insert(place, name, value)
    folder.add_table("scores", table)
    folder.add_table("items", _items(comparisons))
    for each in comparisons:
        folder.add_metrics(each.metrics())
    folder.add_metrics({"neurons": target.size})


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


def _track(tracked: TrackedRun, folder: RunFolder) -> None:
    tracked.metrics(folder.metrics)
    for name, table in folder.tables.items():
        tracked.table(name, table)


def _objective(name: str | None, metrics: dict[str, float]) -> float | None:
    if name is None:
        return None
    if name not in metrics:
        raise ConfigError(f"objective is {name!r}, this run has: {', '.join(metrics)}")
    return metrics[name]
