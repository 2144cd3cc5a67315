"""Results of one job of a sweep, as its folder holds them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fbn_exp.stages.scripts.own_folder import read_result

FAILED = "failed.txt"
# tables of a job that those of the sweep are made of
TABLES = ("scores", "forgetting", "items", "draws", "draw_items", "pruning")


@dataclass(frozen=True, eq=False)
class Job:
    """Results of a job of a sweep.

    Attributes
    ----------
    name : str
        Name of its folder.
    settings : dict of str to str
        Overrides of the job.
    choices : dict of str to str
        Chosen option of each config group.
    error : str
        Error of a failed job, empty otherwise.
    metrics : dict of str to float
        Flat numbers.
    scores, forgetting, items, draws, draw_items, pruning : DataFrame or None
        Tables of the job; None if it has none.
    remarks : tuple of str
        Caveats about its results.
    """

    name: str
    settings: dict[str, str]
    choices: dict[str, str]
    error: str
    metrics: dict[str, float]
    scores: pd.DataFrame | None
    forgetting: pd.DataFrame | None
    items: pd.DataFrame | None = None
    draws: pd.DataFrame | None = None
    draw_items: pd.DataFrame | None = None
    pruning: pd.DataFrame | None = None
    remarks: tuple[str, ...] = ()

    @property
    def head(self) -> dict[str, str]:
        """First cells of the job's rows in tables; settings are prefixed, to differ from other columns."""
        return {"job": self.name, **{f"override/{name}": value for name, value in self.settings.items()}}


def job_number(name: str) -> tuple[int, str]:
    """Key that sorts folders of jobs by their numbers, and others after them by name."""
    return (int(name), "") if name.isdigit() else (1 << 30, name)


def read_job(folder: Path) -> Job:
    """Read the results of a job, finished or failed."""
    overrides = (str(each).lstrip("+~").partition("=") for each in _yaml(folder / ".hydra/overrides.yaml"))
    result = read_result(folder)
    metrics = dict(result.get("metrics", {}))
    error = (folder / FAILED).read_text(encoding="utf-8") if (folder / FAILED).is_file() else ""
    if not metrics and not error:
        error = "ended without a result"
    # results of an earlier version do not say so
    if not error and not result.get("finished", True):
        error = "ended before it had finished: its numbers are not complete"
    return Job(
        name=folder.name,
        settings={name: value for name, _, value in overrides},
        choices=dict(_yaml(folder / ".hydra/hydra.yaml")["hydra"]["runtime"]["choices"]),
        error=error,
        metrics=metrics,
        **{name: None if error else _table(folder, name) for name in TABLES},
        remarks=tuple(map(str, result.get("remarks", ()))),
    )


def _yaml(file: Path) -> Any:
    # the loader in C: hydra.yaml is long, and a sweep has many jobs
    return yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _table(folder: Path, name: str) -> pd.DataFrame | None:
    file = folder / "tables" / f"{name}.csv"
    return pd.read_csv(file, dtype={"networks": str}) if file.is_file() else None
