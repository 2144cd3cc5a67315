"""What the steps left: their tables, read back."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Results:
    """Folders of the steps that were run.

    Attributes
    ----------
    folder : Path
        Of all steps.
    """

    folder: Path

    def has(self, step: str) -> bool:
        """Whether a step was run to its end."""
        return (self.folder / step / "done.json").is_file()

    def command(self, step: str) -> str:
        """As a user types it."""
        return str(json.loads((self.folder / step / "done.json").read_text(encoding="utf-8"))["command"])

    def seconds(self, step: str) -> float:
        """What it took."""
        return float(json.loads((self.folder / step / "done.json").read_text(encoding="utf-8"))["seconds"])

    def paper(self, step: str) -> pd.DataFrame:
        """Tidy table of a sweep that repeats the paper."""
        return pd.read_csv(self.folder / step / "sweep" / "paper.csv", dtype={"networks": str})

    def items(self, step: str) -> pd.DataFrame:
        """Values of single items, of all jobs of a sweep."""
        files = sorted((self.folder / step).glob("*/tables/items.csv"))
        return pd.concat([pd.read_csv(file).assign(job=int(file.parts[-3])) for file in files])

    def metrics(self, step: str) -> dict[str, float]:
        """Numbers of a single run."""
        content = json.loads((self.folder / step / "result.json").read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in content["metrics"].items()}

    def table(self, file: str) -> pd.DataFrame:
        """A table by its path below the folder of all steps."""
        return pd.read_csv(self.folder / file)
