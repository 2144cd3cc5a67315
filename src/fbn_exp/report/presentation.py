"""Presentation of findings, and ``present``, which dispatches on their type."""

import resource
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import pandas as pd

from fbn_exp.core.files import Drawings

# networks listed on the console
ROWS = 20
# p values below it are called significant
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Presentation:
    """Findings as numbers, tables, pictures and sentences.

    Attributes
    ----------
    metrics : dict of str to float
        Flat numbers under stable names.
    tables : dict of str to DataFrame
        Tables by name.
    figures : mapping of str to callable
        Functions that draw and return a ``Figure``, by name.
    title : str
        Title of the table on the console.
    rows : DataFrame
        Rows of that table, numbers formatted as text.
    words : tuple of str
        Columns of text, aligned to the left.
    lines : list of str
        The result in sentences.
    remarks : list of str
        Caveats.
    examples : DataFrame
        A few texts side by side, printed below the table on the console; may be empty.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: Drawings = field(default_factory=dict)
    title: str = ""
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    words: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    examples: pd.DataFrame = field(default_factory=pd.DataFrame)


@singledispatch
def present(findings: Any) -> Presentation:
    """Turn an analysis's findings into a presentation.

    A user-defined analysis registers a function with ``present.register``, or returns a ``Presentation``.

    Raises
    ------
    TypeError
        If nothing is registered for the type.
    """
    raise TypeError(
        f"no presentation of {type(findings).__name__}: register one with fbn_exp.report.presentation.present"
    )


@present.register
def _(findings: Presentation) -> Presentation:
    return findings


def peak_memory() -> dict[str, float]:
    """Peak memory of this process in GiB."""
    return {"memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
