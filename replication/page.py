"""Places of the document and what belongs to it, and parts of its text."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fbn_exp.experiments.paper.tables import markdown

# what a cell without content holds
NOTHING = ("", "–")


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
        return self.file.parent / "data"

    def clear(self, models: Sequence[str]) -> None:
        """Remove the pictures and tables of an earlier document about models, by their options."""
        shutil.rmtree(self.pictures, ignore_errors=True)
        for model in models:
            for file in self.data.rglob(f"{model}_*.csv"):
                file.unlink()
        for place in (self.pictures, self.data):
            place.mkdir(parents=True, exist_ok=True)

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


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one: ``1 row``, ``2 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(table: str) -> str:
    """Shorten a markdown table of an experiment.

    Columns without content are left out, and so are rows that have none or in which no energy was removed,
    with a sentence that says how many.

    Parameters
    ----------
    table : str
        The table's lines: header, delimiters, rows.
    """
    lines = [line.strip()[1:-1] for line in table.strip().split("\n")]
    header, *body = (_cells(line) for line in (lines[0], *lines[2:]))
    rows = [row for row in body if _has_content(dict(zip(header, row, strict=True)))]
    columns = [i for i in range(len(header)) if i == 0 or any(row[i] not in NOTHING for row in rows)]
    shown = ([row[i] for i in columns] for row in (header, _cells(lines[1]), *rows))
    text = "\n".join(f"| {' | '.join(row)} |" for row in shown)
    if left_out := len(body) - len(rows):
        text += f"\n\nNot shown: {counted(left_out, 'row')} in which nothing is changed."
    return text


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]


def _has_content(row: dict[str, str]) -> bool:
    return row.get("energy") != "0" and any(cell not in NOTHING for cell in list(row.values())[1:])


def narrow(text: str) -> str:
    """Take the spaces and dashes away that align the columns of tables in a text."""
    lines = [_narrow_row(line) if line.startswith("|") else line for line in text.split("\n")]
    return "\n".join(lines)


def _narrow_row(line: str) -> str:
    if re.fullmatch(r"[|:\- ]+", line):
        return re.sub(r"-{3,}", "---", line)
    # texts of earlier runs may have breaks of lines in a cell, such as vertical tabs
    return re.sub(r" {2,}", " ", " ".join(line.splitlines()))
