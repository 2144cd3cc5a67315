"""Rules of the verdicts on the paper's claims: rows that are judged, harm, and corrected p values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.core.rows import Array
from fbn_exp.experiments.paper.tables import SAME_SIZE, short_name


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and the verdict of the replication.

    Attributes
    ----------
    claim : str
        The paper's claim.
    rule : str
        Criterion by which it counts as replicated.
    verdict : str
        ``holds``, ``holds in part`` and in how many cases, ``does not hold``; ``not shown`` where more items
        might have shown it.
    numbers : str
        Numbers that the verdict rests on.
    """

    claim: str
    rule: str
    verdict: str
    numbers: str


def verdict(holding: int, all_: int) -> str:
    """Verdict in words, from the number of cases that meet a rule, of all."""
    if holding == all_:
        return "holds"
    return f"holds in part ({holding} of {all_})" if holding else "does not hold"


def one_metric_per_task(scores: pd.DataFrame) -> pd.DataFrame:
    """Select a metric for each task: balanced accuracy if it was measured, else the first metric."""
    preferred = scores.assign(order=(scores["metric"] != "balanced_acc").astype(int))
    first = preferred.groupby("task", sort=False)["order"].transform("min")
    rows = preferred[preferred["order"] == first]
    same = ["task", "networks", "neurons", "factor"]
    return rows.groupby(same, sort=False, dropna=False).head(1).reset_index(drop=True)


def holm(p_values: Array) -> Array:
    """Correct p values for multiple testing (Holm 1979); NaN stays NaN and does not count as a test."""
    # takes seconds to import
    from statsmodels.stats.multitest import multipletests

    corrected, known = np.full(len(p_values), np.nan), np.isfinite(p_values)
    if known.any():
        corrected[known] = multipletests(p_values[known], method="holm")[1]
    return corrected


def harms_most(rows: pd.DataFrame) -> pd.Series:
    """Mark lesions that harm, and more than every control of their size does."""
    return rows["harms"] & rows["below_controls"]


def sign(rows: pd.DataFrame) -> pd.Series:
    """Return 1 for metrics of which larger is better, −1 for losses."""
    return pd.Series(np.where(rows["metric"].isin(["nats_per_token", "repetition"]), -1, 1), index=rows.index)


def best_control(row: Any) -> str:
    """Score of the best draw of any control, in words."""
    ends = [getattr(row, f"control_{kind}_{side}") for kind in SAME_SIZE for side in ("low", "high")]
    best = min(ends) if row.metric == "nats_per_token" else max(ends)
    return "none" if np.isnan(best) else f"{best:.3g}"


def task_in_words(task: object) -> str:
    """Name of a task, or of the quantity measured without a task, for reading."""
    return short_name(task).replace("perplexity_wiki", "nats per token")
