"""Print results on the console."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from fbn_exp.core.console import console
from fbn_exp.core.errors import printable
from fbn_exp.report.presentation import Presentation

# with more columns, lines between them take too much room
CROWDED = 8


def show(presentation: Presentation, *places: tuple[str, Path]) -> None:
    """Print the table of a presentation, its sentences and remarks, and labelled paths of files."""
    crowded = len(presentation.rows.columns) > CROWDED
    lines: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0)} if crowded else {}
    table = Table(title=printable(presentation.title), **lines)
    for name in presentation.rows:
        side: JustifyMethod = "left" if name in presentation.words else "right"
        table.add_column(printable(str(name)), justify=side, overflow="fold")
    for row in presentation.rows.astype(str).itertuples(index=False):
        table.add_row(*map(printable, row))
    console.print(table)
    for line in presentation.lines:
        console.print(printable(line))
    show_remarks(presentation.remarks)
    for label, path in places:
        console.print(f"{label} {printable(os.path.relpath(path))}", soft_wrap=True, highlight=False)


def show_remarks(lines: Iterable[str]) -> None:
    """Print caveats, so that they stand out."""
    for line in lines:
        console.print(printable(line), style="yellow")
