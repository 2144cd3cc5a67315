"""Results of the jobs of a sweep that decides a question."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, eq=False)
class Jobs:
    """Tables of all jobs of a sweep, with a column ``job``.

    Attributes
    ----------
    scores : DataFrame
        One row per job, task and metric.
    items : DataFrame
        Values of items, with and without the lesion, and means over the draws of each kind of control.
    draws : DataFrame
        Score of every draw.
    metrics : DataFrame
        One row per job with its flat numbers.
    draw_items : DataFrame
        Values of items under every draw, a column each, of jobs with ``controls.keep_items``.
    """

    scores: pd.DataFrame
    items: pd.DataFrame
    draws: pd.DataFrame
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    draw_items: pd.DataFrame = field(default_factory=pd.DataFrame)


def settings(scores: pd.DataFrame, usual: Mapping[str, str]) -> pd.DataFrame:
    """Settings of the job of each row, by the last part of their names.

    Parameters
    ----------
    scores : DataFrame
        Rows with columns ``override/<setting>``.
    usual : mapping of str to str
        Settings, and the values of jobs that do not name them.
    """
    names = {f"override/{name}": value for name, value in usual.items()}
    said = scores.reindex(columns=list(names)).astype(object).fillna(names).astype(str)
    return said.rename(columns=lambda name: name.rpartition("/")[2].rpartition(".")[2])
