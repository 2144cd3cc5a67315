"""The folder of one run: ``result.json`` with flat numbers and relative paths, tables, pictures."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fbn_exp.core.files import Drawings, new_file, save_figures, write_json


@dataclass
class RunFolder:
    """Folder of one run, and what has been put into it.

    Tables and pictures are files as soon as they are added; ``write`` ends a phase of the run, so that what
    is known by then survives a later failure.

    Attributes
    ----------
    path : Path
        The folder.
    stage : str
        Which script ran.
    metrics : dict of str to float
        Flat numbers under stable names, the same as in the tracker.
    artifacts : dict of str to Path
        Files and folders by name.
    tables : dict of str to DataFrame
        Tables by name, as they were before they became files.
    figures : dict of str to Path
        Pictures by name.
    """

    path: Path
    stage: str
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)

    def add_metrics(self, values: Mapping[str, float]) -> None:
        """Add numbers."""
        self.metrics.update({name: float(value) for name, value in values.items()})

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as csv, text quoted."""
        file = self.path / "tables" / f"{name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        # a token can be a lone carriage return, which ends the row unless it is quoted
        with new_file(file) as partial:
            frame.to_csv(partial, index=False, quoting=csv.QUOTE_NONNUMERIC)
        self.artifacts[f"tables/{name}"] = file
        self.tables[name] = frame

    def add_figures(self, figures: Drawings, dpi: int) -> None:
        """Draw pictures, and write them as png."""
        files = save_figures(figures, self.path / "figures", dpi)
        self.figures.update(files)
        self.artifacts.update({f"figures/{name}": file for name, file in files.items()})

    def write(self) -> None:
        """Write ``result.json`` with everything that has been added."""
        self.path.mkdir(parents=True, exist_ok=True)
        artifacts = {name: file.relative_to(self.path).as_posix() for name, file in self.artifacts.items()}
        write_json(
            self.path / "result.json",
            {"stage": self.stage, "metrics": self.metrics, "artifacts": artifacts},
        )
