"""Write the results of a stage into its run folder and log them to the tracker."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fbn_exp.core.errors import ConfigError
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.networks.folder import config_in
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.report.presentation import Presentation
from fbn_exp.stages.build import plain
from fbn_exp.stages.scripts.own_folder import fingerprint, require_own_run
from fbn_exp.tracking.base import RunInfo, TrackedRun, Tracker

# parts of a config that an evaluation of networks of a folder does not use
FITTING = ("site", "signals", "method", "reliability")


@contextmanager
def opened_run(cfg: DictConfig, stage: str, tracker: Tracker) -> Iterator[tuple[RunFolder, TrackedRun]]:
    """Yield the folder of a run and its tracked run, which is closed as failed after an exception.

    ``result.json`` says that the run has finished only when the body has ended.

    Raises
    ------
    ConfigError
        If the folder holds a run of another configuration, unless ``overwrite=true``.
    """
    configuration = fingerprint(cfg)
    require_own_run(Path(cfg.run.folder), configuration, bool(cfg.get("overwrite")))
    folder = RunFolder(Path(cfg.run.folder), stage, configuration=configuration)
    with tracker.run(RunInfo(stage, cfg.run.name, folder.path, cfg.run.sweep, used(cfg))) as tracked:
        yield folder, tracked
        folder.finish()


def used(cfg: DictConfig) -> dict[str, Any]:
    """Config for the tracker: of networks of a folder, the settings that they were extracted with."""
    config = plain(cfg)
    if not isinstance(config.get("networks"), str) or config.get("analysis") is not None:
        return config
    made = config_in(local_folder(config["networks"]))
    return {name: value for name, value in config.items() if name not in FITTING} | {
        name: made[name] for name in FITTING if name in made and name in config
    }


def keep(presentation: Presentation, folder: RunFolder, dpi: int) -> None:
    """Write all of a presentation into the run folder; ``result.json`` is written before pictures."""
    folder.add_metrics(presentation.metrics)
    folder.remarks = list(dict.fromkeys([*folder.remarks, *presentation.remarks]))
    for name, table in presentation.tables.items():
        folder.add_table(name, table)
    folder.write()
    folder.add_figures(presentation.figures, dpi)
    folder.write()


def track(
    tracked: TrackedRun,
    folder: RunFolder,
    provenance: Mapping[str, Any] | None = None,
    networks: str | None = None,
) -> None:
    """Log numbers, remarks, tables and pictures, and the networks that the run started from.

    Parameters
    ----------
    tracked : TrackedRun
        Open run of a tracker.
    folder : RunFolder
        Folder with the results.
    provenance : mapping or None
        Provenance of the networks that were used; None if there are none, or the run extracted them.
    networks : str or None
        Folder of these networks, if one was given.
    """
    tracked.metrics(folder.metrics)
    tracked.remarks(folder.remarks)
    for name, table in folder.tables.items():
        tracked.table(name, table)
    for name, file in folder.figures.items():
        tracked.figure(f"figures/{name}", file)
    if (report := folder.artifacts.get("report")) is not None:
        tracked.page("report", report)
    if provenance is not None:
        tracked.lineage(provenance, None if networks is None else local_folder(networks))


def require_objective(name: str | None, known: Collection[str]) -> None:
    """Refuse an objective that a run will not have.

    Raises
    ------
    ConfigError
        If ``objective`` is none of the names; the message lists them.
    """
    if name is not None and name not in known:
        close = "".join(f"; did you mean {each}?" for each in difflib.get_close_matches(name, known, n=1))
        raise ConfigError(f"objective is {name!r}{close}; it can be: {', '.join(known)}")


def require_family(name: str | None, families: Collection[str]) -> None:
    """Refuse an objective whose first part no metric of an analysis has; only its results tell the rest.

    Raises
    ------
    ConfigError
        If the families are known and ``objective`` is of none of them.
    """
    if name is not None and families and name.partition("/")[0] not in families:
        begins = " or ".join(f"{family}/" for family in families)
        raise ConfigError(f"objective is {name!r}; the metrics of this analysis begin with {begins}")


def objective_of(name: str | None, metrics: dict[str, float]) -> float | None:
    """Return the metric that ``objective`` names.

    Raises
    ------
    ConfigError
        If the run has no such metric.
    """
    if name is None:
        return None
    if name not in metrics:
        raise ConfigError(f"objective is {name!r}, this run has: {', '.join(metrics)}")
    return metrics[name]
