"""The result of a sweep: one tidy table of all its jobs, pictures over them, and one tracked run."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import new_file
from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.write import write_paper
from fbn_exp.report.figures import sweep as sweep_figures
from fbn_exp.report.figures.forgetting import draw_forgetting
from fbn_exp.report.figures.threshold import draw_threshold
from fbn_exp.tracking.base import RunInfo, Tracker

log = logging.getLogger(__name__)

FAILED = "failed.txt"


@dataclass(frozen=True, eq=False)
class Sweep:
    """All jobs of a sweep.

    Attributes
    ----------
    folder : Path
        Of the sweep; its jobs' folders are inside.
    jobs : DataFrame
        One row per job: number, overrides, error (empty if it finished), and its flat metrics.
    scores : DataFrame
        One row per job, task and metric; empty for sweeps that score nothing.
    forgetting : DataFrame
        One row per job of ``train.py``, task and metric: scores before and after training.
    """

    folder: Path
    jobs: pd.DataFrame
    scores: pd.DataFrame
    forgetting: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def failed(self) -> dict[str, str]:
        """Error of each failed job, by job."""
        return {str(row.job): str(row.error) for row in self.jobs.itertuples() if row.error}


def collect(folder: Path) -> Sweep:
    """Read what the jobs of a sweep left, in the order of their numbers.

    A job without a result counts as failed, also when it was killed and could not say why.

    Raises
    ------
    NetworksError
        If there is no job.
    """
    found = sorted(folder.glob("*/.hydra/overrides.yaml"), key=lambda path: _number(path.parents[1].name))
    if not found:
        raise NetworksError(f"{folder} holds no jobs of a sweep")
    rows: list[dict[str, Any]] = []
    tables: dict[str, list[pd.DataFrame]] = {"scores": [], "forgetting": []}
    for file in found:
        job = file.parents[1]
        overrides = _overrides(file)
        metrics = _metrics(job)
        error = (job / FAILED).read_text(encoding="utf-8") if (job / FAILED).is_file() else ""
        if not metrics and not error:
            error = "ended without a result"
        head = {"job": job.name, **overrides}
        rows.append({**head, "error": error, **metrics})
        for name, frames in tables.items():
            table = job / "tables" / f"{name}.csv"
            if table.is_file() and not error:
                frame = pd.read_csv(table, dtype={"networks": str})
                # an override such as intervention.factor stands in the table under its own name already
                for place, (column, value) in enumerate(head.items()):
                    frame.insert(place, column, value)
                frames.append(frame)
    joined = {
        name: pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        for name, frames in tables.items()
    }
    return Sweep(folder, pd.DataFrame(rows), joined["scores"], joined["forgetting"])


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)


def _overrides(file: Path) -> dict[str, str]:
    overrides = [str(each) for each in OmegaConf.load(file)]
    pairs = (each.lstrip("+~").partition("=") for each in overrides)
    return {f"override/{name}": value for name, _, value in pairs}


def _metrics(job: Path) -> dict[str, Any]:
    try:
        metrics = json.loads((job / "result.json").read_text(encoding="utf-8"))["metrics"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return {}
    return dict(metrics)


def summarise(sweep: Sweep, tracker: Tracker, stage: str, config: dict[str, Any]) -> dict[str, Path]:
    """Write tables and pictures into the sweep's folder, and log them as one run.

    Parameters
    ----------
    sweep : Sweep
        What its jobs left.
    tracker : Tracker
        Where the sweep's own run is logged, with job type ``sweep``.
    stage : str
        Which script was swept.
    config : dict
        Of the sweep, in plain containers.

    Returns
    -------
    dict of str to Path
        Pictures by name.
    """
    folder = sweep.folder / "sweep"
    folder.mkdir(exist_ok=True)
    tables = {"jobs": sweep.jobs, "scores": sweep.scores, "forgetting": sweep.forgetting}
    for name, frame in tables.items():
        if not frame.empty:
            with new_file(folder / f"{name}.csv") as partial:
                frame.to_csv(partial, index=False)
            with new_file(folder / f"{name}.parquet") as partial:
                frame.to_parquet(partial, index=False)
    figures = sweep_figures.draw_all(sweep.scores, folder / "figures") if not sweep.scores.empty else {}
    figures |= sweep_figures.draw_measures(sweep.jobs, folder / "figures")
    figures |= draw_threshold(sweep.jobs, sweep.scores, folder / "figures")
    figures |= draw_forgetting(sweep.forgetting, folder / "figures")
    if config.get("paper") is not None:
        table, picture = write_paper(PaperTable(config["paper"]), sweep.folder, sweep.jobs, sweep.scores)
        tables |= table
        figures |= picture
    info = RunInfo("sweep", f"{stage} sweep of {len(sweep.jobs)} jobs", folder, str(sweep.folder), config)
    with tracker.run(info) as tracked:
        tracked.metrics({"jobs": len(sweep.jobs), "jobs/failed": len(sweep.failed)})
        for name, frame in tables.items():
            if name == "jobs" or not frame.empty:
                tracked.table(name, frame)
        for name, file in figures.items():
            tracked.figure(f"figures/{name}", file)
    return figures
