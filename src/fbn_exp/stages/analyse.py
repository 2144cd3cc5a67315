"""Analyse networks of the untouched model: numbers, tables and pictures."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fbn_exp.analysis.base import Analysis, Recording
from fbn_exp.analysis.keystones.analysis import KeystoneFindings
from fbn_exp.core.errors import ConfigError
from fbn_exp.explorer.model import model_named, model_of
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.report.analyses import present
from fbn_exp.report.console import show
from fbn_exp.report.html.keystones import refresh_keystones
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.stages.build import Parts
from fbn_exp.stages.results import keep, objective_of, opened_run, track

log = logging.getLogger(__name__)


def analyse(cfg: DictConfig, parts: Parts, analysis: Analysis) -> float | None:
    """Measure networks as ``conf/evaluate.yaml`` composes it; the intervention is not applied.

    Raises
    ------
    FbnError
        If a setting, the model, the networks or the texts cannot be used.
    """
    with opened_run(cfg, "evaluate", parts.tracker) as (folder, tracked):
        log.info("networks of the untouched model are measured: the configured intervention is not applied")
        networks, recording, remarks = _prepared(cfg, parts, analysis, folder.path)
        findings = analysis.measure(networks, parts.threshold, recording)
        measured = present(findings)
        presentation = replace(measured, remarks=[*remarks, *measured.remarks])
        keep(presentation, folder, parts.figures.dpi)
        if isinstance(findings, KeystoneFindings):
            refresh_keystones(findings.scan, networks, parts.threshold, cfg.networks)
        track(tracked, folder, networks.provenance, cfg.networks)
    numbers = ("Numbers:", folder.path / "result.json")
    show(presentation, numbers, *(("Picture:", file) for file in folder.figures.values()))
    return objective_of(cfg.objective, folder.metrics)


def _prepared(
    cfg: DictConfig, parts: Parts, analysis: Analysis, scratch: Path
) -> tuple[FunctionalNetworks, Recording | None, list[str]]:
    """Obtain networks, a recording if the analysis needs it, and remarks; a folder may need no model."""
    if cfg.networks is not None and not analysis.records:
        return FunctionalNetworks.load(local_folder(cfg.networks)), None, []
    lm = load(parts.model, parts.cache)
    analysis.prepare(lm)
    networks = parts.networks(cfg.networks, lm, scratch, cfg.same_weights)
    remarks = networks.require_unseen(analysis.text_digests())
    if not analysis.records:
        return networks, None, remarks
    _require_same_signals(networks, parts.signals)
    _warn_of_another_method(networks, parts.config["method"])
    # networks of a folder may come from another site than the config's
    load_other = partial(_load_other, parts, cfg.same_weights)
    recording = Recording(lm, networks.layout, parts.signals, parts.method, scratch, parts.cache, load_other)
    return networks, recording, remarks


def _load_other(
    parts: Parts, same_weights: bool, networks: FunctionalNetworks, name: str | None
) -> LanguageModel:
    """Load the model of other networks, on the device of the first one, and check that it is theirs."""
    dtype = networks.provenance.get("dtype")
    if name is None:
        config = model_of(networks.provenance)
    else:
        named = model_named(name)
        config = replace(named, dtype=dtype or named.dtype)
    # in place of the first model, which the recording keeps
    lm = load(replace(config, device=parts.model.device), parts.cache)
    networks.require_layout(lm.layout(networks.layout.site), lm.name)
    if same_weights:
        networks.require_weights(lm.weight_digest, lm.name)
    return lm


def _require_same_signals(networks: FunctionalNetworks, signals: SignalsConfig) -> None:
    """Refuse signals of another kind than those that the networks were extracted from."""
    made = networks.provenance.get("config", {}).get("signals", {})
    asked = {
        "first_tokens_excluded": signals.first_tokens_excluded,
        "standardise": signals.standardise.value,
    }
    different = {name: made[name] for name, value in asked.items() if made.get(name, value) != value}
    if different:
        wanted = " ".join(f"signals.{name}={value}" for name, value in different.items())
        raise ConfigError(f"the networks were found in other signals than the config describes: set {wanted}")


def _warn_of_another_method(networks: FunctionalNetworks, method: dict[str, Any]) -> None:
    """Warn if the networks come from another method than the config's, which the analysis applies."""
    made = networks.provenance.get("config", {}).get("method", {})
    free = ("n_components", "seed")
    different = [name for name in made if name not in free and made[name] != method.get(name)]
    if different:
        log.warning(
            "the networks come from another method than the config's (%s): what is decomposed here is "
            "decomposed by the config's",
            ", ".join(f"{name}={made[name]}" for name in different),
        )
