"""Read the tables that the steps wrote."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Results:
    """Results of the steps that were run.

    Attributes
    ----------
    folder : Path
        Folder of all steps.
    """

    folder: Path

    def has(self, step: str) -> bool:
        """Return True if a step was run to its end."""
        return (self.folder / step / "done.json").is_file()

    def command(self, step: str) -> str:
        """Return the command of a step as a user types it."""
        return str(json.loads((self.folder / step / "done.json").read_text(encoding="utf-8"))["command"])

    def seconds(self, step: str) -> float:
        """Return the duration of a step."""
        return float(json.loads((self.folder / step / "done.json").read_text(encoding="utf-8"))["seconds"])

    def paper(self, step: str) -> pd.DataFrame:
        """Read the tidy table of a sweep that repeats an experiment of the paper."""
        return pd.read_csv(self.folder / step / "sweep" / "paper.csv", dtype={"networks": str})

    def items(self, step: str) -> pd.DataFrame:
        """Read the values of single items of all jobs of a sweep."""
        files = sorted((self.folder / step).glob("*/tables/items.csv"))
        return pd.concat([pd.read_csv(file).assign(job=int(file.parts[-3])) for file in files])

    def metrics(self, step: str) -> dict[str, float]:
        """Read the metrics of a single run."""
        content = json.loads((self.folder / step / "result.json").read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in content["metrics"].items()}

    def table(self, file: str) -> pd.DataFrame:
        """Read a table by its path below the folder of all steps."""
        return pd.read_csv(self.folder / file)
