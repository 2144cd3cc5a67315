"""The forms in which findings are shown, and ``present``, which knows them for each type."""

import resource
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import pandas as pd

from fbn_exp.core.files import Drawings


@dataclass(frozen=True, eq=False)
class Presentation:
    """Findings as numbers, tables, pictures and words.

    Attributes
    ----------
    metrics : dict of str to float
        Flat numbers under stable names.
    tables : dict of str to DataFrame
        By name.
    figures : mapping of str to callable
        By name; each gives a ``Figure``, drawn only then.
    title : str
        Of the table on the console.
    rows : DataFrame
        Rows of that table, numbers already as text.
    words : tuple of str
        Its columns that are read, not compared: they are aligned to the left.
    lines : list of str
        The result in words.
    remarks : list of str
        What a reader must know before believing it.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: Drawings = field(default_factory=dict)
    title: str = ""
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    words: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@singledispatch
def present(findings: Any) -> Presentation:
    """Turn an analysis's findings into a presentation.

    An analysis from outside of this package registers its own with ``present.register``, or returns a
    ``Presentation`` itself.

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
    """Most memory that this process has held so far, in GiB."""
    return {"memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
