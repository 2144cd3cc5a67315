"""Read what the steps of a model left."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from runner import DONE
from step import Model


@dataclass(frozen=True)
class Results:
    """Results of the steps of a model that were run.

    Attributes
    ----------
    folder : Path
        Folder of all steps of the model.
    model : Model
        The model.
    """

    folder: Path
    model: Model

    def has(self, *steps: str) -> bool:
        """Return True if all of the steps were run to their ends."""
        return all((self.folder / step / DONE).is_file() for step in steps)

    def command(self, step: str) -> str:
        """Return the command of a step as a user types it."""
        return str(self._done(step)["command"])

    def seconds(self, step: str) -> float:
        """Return the duration of a step, with that of runs that were interrupted."""
        return float(str(self._done(step)["seconds"]))

    def commit(self, step: str) -> str:
        """Return the commit of the code that a step was run with, empty if unknown."""
        return str(self._done(step).get("commit", ""))

    def judged_by(self, step: str) -> str:
        """Return the commit whose rule a step was judged by after its run; empty if by that of the run."""
        return str(self._done(step).get("judged", ""))

    def paper(self, *steps: str) -> pd.DataFrame:
        """Read the tidy tables of sweeps that repeat an experiment of the paper, one below the other."""
        tables = [self.table(f"{step}/sweep/paper.csv", {"networks": str}) for step in steps]
        return pd.concat(tables, ignore_index=True)

    def items(self, step: str) -> pd.DataFrame:
        """Read the values of single items of all jobs of a sweep."""
        return self._of_jobs(step, "items")

    def draw_items(self, step: str) -> pd.DataFrame:
        """Read the values of single items under every draw of controls; empty if they were not kept."""
        return self._of_jobs(step, "draw_items")

    def _of_jobs(self, step: str, table: str) -> pd.DataFrame:
        files = sorted((self.folder / step).glob(f"*/tables/{table}.csv"))
        read = [pd.read_csv(file).assign(job=int(file.parts[-3])) for file in files]
        return pd.concat(read, ignore_index=True) if read else pd.DataFrame()

    def metrics(self, run: str) -> dict[str, float]:
        """Read the metrics of a run, by its path below the folder of all steps."""
        content = json.loads((self.folder / run / "result.json").read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in content["metrics"].items()}

    def table(self, file: str, types: dict[str, type] | None = None) -> pd.DataFrame:
        """Read a table by its path below the folder of all steps."""
        return pd.read_csv(self.folder / file, dtype=types)

    def decided(self, step: str) -> dict[str, str]:
        """Paragraphs of the page of an experiment that decides a question, by their heads."""
        text = (self.folder / step / "sweep" / "decisive.md").read_text(encoding="utf-8")
        found = re.findall(r"^\*\*(.+?)\.\*\* (.+?)(?=\n\n)", text, re.DOTALL | re.MULTILINE)
        return {head: " ".join(words.split()) for head, words in found}

    def n_neurons(self) -> int | None:
        """Return the number of neurons of the model, from the layout of its networks; None if unknown."""
        files = sorted(self.folder.glob("networks/*/networks/networks.json"))
        if not files:
            return None
        blocks = json.loads(files[0].read_text(encoding="utf-8"))["layout"]["blocks"]
        return sum(int(block["width"]) for block in blocks)

    def _done(self, step: str) -> dict[str, object]:
        content: dict[str, object] = json.loads((self.folder / step / DONE).read_text(encoding="utf-8"))
        return content
