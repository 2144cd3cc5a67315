"""The forms in which findings are shown, and ``present``, which knows them for each type."""

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Presentation:
    """Findings as numbers, tables, pictures and words.

    Attributes
    ----------
    metrics : dict of str to float
        Flat numbers under stable names.
    tables : dict of str to DataFrame
        By name.
    figures : dict of str to Figure
        By name; drawn, not yet saved.
    title : str
        Of the table on the console.
    rows : DataFrame
        Rows of that table, numbers already as text.
    lines : list of str
        The result in words.
    remarks : list of str
        What a reader must know before believing it.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]
    title: str
    rows: pd.DataFrame
    lines: list[str]
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
