"""The output folder of one run: ``result.json`` with metrics, remarks and relative paths, tables, figures."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fbn_exp.core.files import Drawings, new_file, save_figures, write_json


@dataclass
class RunFolder:
    """Output folder of one run, and the results added to it so far.

    Tables and figures become files as soon as they are added; ``write`` ends a phase of the run, so that its
    results survive a later failure.

    Attributes
    ----------
    path : Path
        The folder.
    stage : str
        Name of the script that ran.
    metrics : dict of str to float
        Numbers under stable names, the same as in the tracker.
    artifacts : dict of str to Path
        Files and folders by name.
    tables : dict of str to DataFrame
        Tables by name, as they were before they became files.
    figures : dict of str to Path
        Image files by name.
    remarks : list of str
        Caveats in sentences.
    configuration : dict of str to str
        Digest of each part of the config that determines the results.
    finished : bool
        True once the run has ended; until then ``result.json`` holds what the phases so far have left.
    """

    path: Path
    stage: str
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    configuration: dict[str, str] = field(default_factory=dict)
    finished: bool = False

    def add_metrics(self, values: Mapping[str, float]) -> None:
        """Add metrics, converted to float."""
        self.metrics.update({name: float(value) for name, value in values.items()})

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as CSV with quoted text."""
        file = self.path / "tables" / f"{name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        # a token can be a single carriage return, which ends the row unless it is quoted
        with new_file(file) as partial:
            frame.to_csv(partial, index=False, quoting=csv.QUOTE_NONNUMERIC)
        self.artifacts[f"tables/{name}"] = file
        self.tables[name] = frame

    def add_figures(self, figures: Drawings, dpi: int) -> None:
        """Draw figures, and write them as PNG."""
        files = save_figures(figures, self.path / "figures", dpi)
        self.figures.update(files)
        self.artifacts.update({f"figures/{name}": file for name, file in files.items()})

    def write(self) -> None:
        """Write ``result.json`` with everything that has been added."""
        self.path.mkdir(parents=True, exist_ok=True)
        artifacts = {name: file.relative_to(self.path).as_posix() for name, file in self.artifacts.items()}
        write_json(
            self.path / "result.json",
            {
                "stage": self.stage,
                "finished": self.finished,
                "configuration": self.configuration,
                "metrics": self.metrics,
                "remarks": self.remarks,
                "artifacts": artifacts,
            },
        )

    def finish(self) -> None:
        """Write ``result.json`` as that of a run that has ended."""
        self.finished = True
        self.write()
