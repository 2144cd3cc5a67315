"""The last lines on the console: what was found, in words, and where it is kept."""

import os
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from fbn_exp.core.console import console
from fbn_exp.report.presentation import Presentation


def show(found: Presentation, *places: tuple[str, Path]) -> None:
    """Print a table, sentences about it, and labelled places of files."""
    table = Table(title=escape(found.title))
    for name in found.rows:
        table.add_column(escape(str(name)), justify="left" if name in found.words else "right")
    for row in found.rows.astype(str).itertuples(index=False):
        table.add_row(*map(escape, row))
    console.print(table)
    for line in found.lines:
        console.print(escape(line))
    for line in found.remarks:
        console.print(escape(line), style="yellow")
    for label, path in places:
        console.print(f"{label} {escape(os.path.relpath(path))}", soft_wrap=True, highlight=False)
