"""Combine the results of a sweep: tidy tables of all jobs, pictures over them, and a tracked run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import Drawings, new_file, save_figures
from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.decisive.write import Decided
from fbn_exp.experiments.paper.write import write_paper
from fbn_exp.report.figures.forgetting import forgetting_figures
from fbn_exp.report.figures.sweep import consistency_figures, score_figures
from fbn_exp.report.figures.threshold import threshold_figures
from fbn_exp.report.inference.sweep import corrected
from fbn_exp.report.pruning.figures import pruning_figures
from fbn_exp.report.sweep.dose import dose_metrics, harm_per_energy
from fbn_exp.stages.sweeps.job import Job, job_number, read_job
from fbn_exp.tracking.base import RunInfo, Tracker

DPI = 110
# tables that a sweep writes where they have rows
COMBINED = ("scores", "doses", "forgetting", "pruning", "remarks")
# config group of a corpus -> its use in a consistency job
CORPORA = {"dataset": "templates", "dataset@analysis.dataset": "texts"}


@dataclass(frozen=True, eq=False)
class Sweep:
    """All jobs of a sweep.

    Attributes
    ----------
    folder : Path
        Folder of the sweep, with the folders of its jobs.
    jobs : tuple of Job
        Jobs in the order of their numbers.
    """

    folder: Path
    jobs: tuple[Job, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Table with a row per job: number, overrides, error (empty if it finished), and flat metrics."""
        return pd.DataFrame([{**job.head, "error": job.error, **job.metrics} for job in self.jobs])

    @cached_property
    def settings(self) -> pd.DataFrame:
        """Table with a row per job and a column per override."""
        return pd.DataFrame([job.settings for job in self.jobs])

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Table with a row per job, task and metric; empty for sweeps that score nothing.

        P values stand in it as they were, and corrected for all of its rows.
        """
        scores = _joined([(job.head, job.scores) for job in self.jobs])
        return corrected(scores, self.items, self.draws)

    @cached_property
    def items(self) -> pd.DataFrame:
        """Values of items, of all jobs."""
        return _joined([({"job": job.name}, job.items) for job in self.jobs])

    @cached_property
    def draws(self) -> pd.DataFrame:
        """Scores of all draws of controls, of all jobs."""
        return _joined([({"job": job.name}, job.draws) for job in self.jobs])

    @cached_property
    def draw_items(self) -> pd.DataFrame:
        """Values of items under every draw of controls, of jobs that kept them."""
        return _joined([({"job": job.name}, job.draw_items) for job in self.jobs])

    @cached_property
    def forgetting(self) -> pd.DataFrame:
        """Scores before and after training, with a row per job of ``train.py``, task and metric."""
        return _joined([(job.head, job.forgetting) for job in self.jobs])

    @cached_property
    def pruning(self) -> pd.DataFrame:
        """Scores before and after pruning, with a row per job of ``prune.py``, model, task and metric."""
        return _joined([(job.head, job.pruning) for job in self.jobs])

    @cached_property
    def doses(self) -> pd.DataFrame:
        """Harm per energy of what was scored at several doses; empty if nothing was."""
        return harm_per_energy(self.scores, self.items)

    @cached_property
    def remarks(self) -> pd.DataFrame:
        """Every distinct remark of finished jobs once, with the names of the jobs that it belongs to."""
        jobs: dict[str, list[str]] = {}
        for job in self.jobs:
            for remark in () if job.error else dict.fromkeys(job.remarks):
                jobs.setdefault(remark, []).append(job.name)
        return pd.DataFrame([{"jobs": ", ".join(names), "remark": remark} for remark, names in jobs.items()])

    @property
    def remark_lines(self) -> list[str]:
        """Every distinct remark after the jobs that it belongs to, such as ``jobs 0, 2: …``."""
        everywhere = ", ".join(job.name for job in self.jobs if not job.error)
        lines = []
        for jobs, remark in self.remarks.itertuples(index=False):
            whose = "all jobs" if jobs == everywhere else f"jobs {jobs}" if "," in jobs else f"job {jobs}"
            lines.append(f"{whose}: {remark}")
        return lines

    @property
    def failed(self) -> dict[str, str]:
        """Error of every failed job, by job."""
        return {job.name: job.error for job in self.jobs if job.error}

    def figures(self) -> Drawings:
        """Return the pictures that the tables allow."""
        corpora = pd.DataFrame(
            [{name: job.choices.get(group) for group, name in CORPORA.items()} for job in self.jobs]
        )
        others = self.settings.drop(columns=list(CORPORA), errors="ignore")
        return {
            **score_figures(self.scores),
            **consistency_figures(self.table, others, corpora),
            **threshold_figures(self.table, self.settings, self.scores),
            **forgetting_figures(self.forgetting),
            **pruning_figures(self.pruning),
        }


def _joined(tables: list[tuple[dict[str, str], pd.DataFrame | None]]) -> pd.DataFrame:
    frames = []
    for head, table in tables:
        if table is not None:
            frame = table.copy()
            for place, (column, value) in enumerate(head.items()):
                frame.insert(place, column, value)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def collect(folder: Path) -> Sweep:
    """Read the results of the jobs of a sweep, in the order of their numbers.

    A job without a result, or with one that is not finished, counts as failed, also if it was killed and left
    no error.

    Raises
    ------
    NetworksError
        If the folder holds no jobs.
    """
    folders = [file.parents[1] for file in folder.glob("*/.hydra/overrides.yaml")]
    if not folders:
        raise NetworksError(f"{folder} holds no jobs of a sweep: give the folder of a sweep")
    return Sweep(folder, tuple(map(read_job, sorted(folders, key=lambda job: job_number(job.name)))))


def summarise(
    sweep: Sweep,
    tracker: Tracker,
    stage: str,
    config: Mapping[str, Any],
    decided: Decided | None = None,
) -> dict[str, Path]:
    """Write tables and pictures into the sweep's folder and log them as one run.

    Parameters
    ----------
    sweep : Sweep
        Results of its jobs.
    tracker : Tracker
        Tracker of the sweep's run, with job type ``sweep``.
    stage : str
        Name of the script that was swept.
    config : mapping
        Config of the sweep, in plain containers.
    decided : Decided, optional
        What came out, if the sweep is an experiment that decides a question.

    Returns
    -------
    dict of str to Path
        Pictures by name.
    """
    folder = sweep.folder / "sweep"
    folder.mkdir(exist_ok=True)
    frames = {name: getattr(sweep, name) for name in COMBINED}
    tables = {"jobs": sweep.table, **{name: frame for name, frame in frames.items() if not frame.empty}}
    if decided is not None:
        tables |= decided.presentation.tables
    _write(tables, folder)
    drawings = {**sweep.figures(), **(decided.presentation.figures if decided is not None else {})}
    figures = save_figures(drawings, folder / "figures", DPI)
    if config.get("paper") is not None:
        table, picture = write_paper(PaperTable(config["paper"]), sweep.folder, sweep.table, sweep.scores)
        tables |= table
        figures |= picture
    info = RunInfo("sweep", f"{stage} sweep of {len(sweep.jobs)} jobs", folder, str(sweep.folder), config)
    with tracker.run(info) as tracked:
        counts = {"jobs": len(sweep.jobs), "jobs/failed": len(sweep.failed)}
        tracked.metrics({**counts, **dose_metrics(sweep.doses)})
        tracked.remarks(sweep.remark_lines)
        for name, frame in tables.items():
            tracked.table(name, frame)
        for name, file in figures.items():
            tracked.figure(f"figures/{name}", file)
    return figures


def _write(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    for name, frame in tables.items():
        with new_file(folder / f"{name}.csv") as partial:
            frame.to_csv(partial, index=False)
        with new_file(folder / f"{name}.parquet") as partial:
            frame.to_parquet(partial, index=False)
