"""Places of the document and what belongs to it, and parts of its text."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fbn_exp.experiments.paper.tables import markdown


@dataclass(frozen=True)
class Places:
    """Where the document and what belongs to it lie.

    Attributes
    ----------
    file : Path
        The document.
    """

    file: Path

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.file.parent / "images" / "replication"

    @property
    def data(self) -> Path:
        """Folder of the tables."""
        return self.file.parent / "data" / "replication"

    def link(self, target: Path) -> str:
        """Return a path from the document."""
        return target.relative_to(self.file.parent).as_posix()


def folded(summary: str, table: pd.DataFrame) -> str:
    """Return a table that is folded away."""
    return folded_text(summary, markdown(table))


def folded_text(summary: str, text: str) -> str:
    """Return text that is folded away."""
    # GitHub ignores the attribute, by which other readers of markdown take what is inside for markdown too
    return f'<details markdown="1"><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>\n'


def narrow(text: str) -> str:
    """Take the spaces and dashes away that align the columns of tables in a text."""
    lines = [_narrow_row(line) if line.startswith("|") else line for line in text.split("\n")]
    return "\n".join(lines)


def _narrow_row(line: str) -> str:
    if re.fullmatch(r"[|:\- ]+", line):
        return re.sub(r"-{3,}", "---", line)
    return re.sub(r" {2,}", " ", line)
