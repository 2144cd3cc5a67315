"""Print results on the console."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from fbn_exp.core.console import console
from fbn_exp.core.errors import printable
from fbn_exp.report.presentation import Presentation

# with more columns, lines between them take too much room
CROWDED = 8


def show(presentation: Presentation, *places: tuple[str, Path]) -> None:
    """Print the tables of a presentation, its sentences and remarks, and labelled paths of files."""
    _show_table(presentation.title, presentation.rows, presentation.words)
    if not presentation.examples.empty:
        _show_table(
            "Examples", presentation.examples, [str(name) for name in presentation.examples], lines=True
        )
    for line in presentation.lines:
        console.print(printable(line))
    show_remarks(presentation.remarks)
    show_places(*places)


def _show_table(title: str, rows: pd.DataFrame, words: Sequence[str], lines: bool = False) -> None:
    """Print a frame; columns of words are aligned to the left."""
    crowded = len(rows.columns) > CROWDED
    style: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0)} if crowded else {}
    table = Table(title=printable(title), show_lines=lines, **style)
    for name in rows:
        side: JustifyMethod = "left" if name in words else "right"
        table.add_column(printable(str(name)), justify=side, overflow="fold")
    for row in rows.astype(str).itertuples(index=False):
        table.add_row(*map(printable, row))
    console.print(table)


def show_places(*places: tuple[str, Path]) -> None:
    """Print labelled paths of files, relative to the working folder."""
    for label, path in places:
        console.print(f"{label} {printable(os.path.relpath(path))}", soft_wrap=True, highlight=False)


def show_remarks(lines: Iterable[str]) -> None:
    """Print caveats, so that they stand out."""
    for line in lines:
        console.print(printable(line), style="yellow")
