"""Networks of the untouched model + an analysis that measures them → numbers, tables, pictures."""

import logging
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.markup import escape
from rich.table import Table

from fbn_exp.analysis.base import Analysis, Recording
from fbn_exp.core.console import console
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.files import save_figure
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.analyses import Presentation, present
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.stages.build import Parts, plain
from fbn_exp.stages.checks import objective_of, require_disjoint
from fbn_exp.stages.track import track
from fbn_exp.tracking.base import RunInfo

log = logging.getLogger(__name__)


def analyse(cfg: DictConfig, parts: Parts, analysis: Analysis) -> float | None:
    """Measure networks as ``conf/evaluate.yaml`` composes it; the intervention is not applied.

    Raises
    ------
    FbnError
        If a setting, the model, the networks or the texts cannot be used.
    """
    folder = RunFolder(Path(cfg.run.folder), "evaluate")
    info = RunInfo("evaluate", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        log.info("networks of the untouched model are measured: the configured intervention is not applied")
        networks, recording = _prepared(cfg, parts, analysis, folder)
        found = present(analysis.measure(networks, parts.threshold, recording))
        _keep(found, folder, parts.figures.dpi)
        track(tracked, folder, networks.provenance)
    _print(found, folder)
    return objective_of(cfg.objective, folder.metrics)


def _prepared(
    cfg: DictConfig, parts: Parts, analysis: Analysis, folder: RunFolder
) -> tuple[FunctionalNetworks, Recording | None]:
    """Networks, and what is needed to record them; without recording, those of a folder need no model."""
    if cfg.networks is not None and not analysis.records:
        return FunctionalNetworks.load(Path(cfg.networks).expanduser()), None
    lm = load(parts.model, parts.cache)
    analysis.prepare(lm)
    networks = parts.networks(cfg.networks, lm, folder.path, cfg.same_weights)
    require_disjoint(networks.provenance, analysis.text_digests())
    if not analysis.records:
        return networks, None
    _require_same_signals(networks, parts.signals)
    _warn_of_another_method(networks, parts.config["method"])
    # networks of a folder may live at another site than the config's
    return networks, Recording(lm, networks.layout, parts.signals, parts.method, folder.path)


def _require_same_signals(networks: FunctionalNetworks, signals: SignalsConfig) -> None:
    """Networks are looked for in signals of the kind that they were found in."""
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
    """Networks of a folder may come from another method than the config's, which the benchmark uses."""
    made = networks.provenance.get("config", {}).get("method", {})
    free = ("n_components", "seed")
    different = [name for name in made if name not in free and made[name] != method.get(name)]
    if different:
        log.warning(
            "the networks come from another method than the config's (%s): what is decomposed here is "
            "decomposed by the config's",
            ", ".join(f"{name}={made[name]}" for name in different),
        )


def _keep(found: Presentation, folder: RunFolder, dpi: int) -> None:
    folder.add_metrics(found.metrics)
    for name, table in found.tables.items():
        folder.add_table(name, table)
    pictures = folder.path / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    for name, figure in found.figures.items():
        file = pictures / f"{name}.png"
        save_figure(figure, file, dpi)
        folder.artifacts[f"figures/{name}"] = file
    folder.write()


def _print(found: Presentation, folder: RunFolder) -> None:
    table = Table(title=escape(found.title))
    for name in found.rows:
        table.add_column(escape(str(name)), justify="right")
    for row in found.rows.astype(str).itertuples(index=False):
        table.add_row(*map(escape, row))
    console.print(table)
    for line in found.lines:
        console.print(escape(line))
    for line in found.remarks:
        console.print(escape(line), style="yellow")
    for name, file in folder.artifacts.items():
        if name.startswith("figures/"):
            console.print(f"Picture: {escape(os.path.relpath(file))}", soft_wrap=True, highlight=False)
