"""What verdicts are made of: which rows are judged, what counts as harm, and p values of many tries."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.experiments.paper.tables import SAME_SIZE, short_name

Array = NDArray[np.float64]

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and what became of it here.

    Attributes
    ----------
    claim : str
        As the paper makes it.
    rule : str
        When it counts as found.
    verdict : str
        ``holds``, ``holds in part`` and in how many cases, ``does not hold``; ``not shown`` where more items
        might have shown it.
    numbers : str
        What it rests on.
    """

    claim: str
    rule: str
    verdict: str
    numbers: str


def verdict(holding: int, all_: int) -> str:
    """In words, of how many cases a rule was met in."""
    if holding == all_:
        return "holds"
    return f"holds in part ({holding} of {all_})" if holding else "does not hold"


def one_metric_per_task(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy where majority does not give it, else the first metric."""
    preferred = found.assign(order=(found["metric"] != "balanced_acc").astype(int))
    first = preferred.groupby("task", sort=False)["order"].transform("min")
    rows = preferred[preferred["order"] == first]
    same = ["task", "networks", "neurons", "factor"]
    return rows.groupby(same, sort=False, dropna=False).head(1).reset_index(drop=True)


def holm(p_values: Array) -> Array:
    """P values corrected for their number (Holm 1979); what is not a number stays so and does not count."""
    # takes seconds to import
    from statsmodels.stats.multitest import multipletests

    corrected, known = np.full(len(p_values), np.nan), np.isfinite(p_values)
    if known.any():
        corrected[known] = multipletests(p_values[known], method="holm")[1]
    return corrected


def harms_most(rows: pd.DataFrame) -> pd.Series:
    """Whether each lesion harms, and beyond every control of its size."""
    return rows["harms"] & rows["below_controls"]


def sign(rows: pd.DataFrame) -> pd.Series:
    """1 where larger is better, −1 for losses."""
    return pd.Series(np.where(rows["metric"].isin(["nats_per_token", "repetition"]), -1, 1), index=rows.index)


def best_control(row: Any) -> str:
    """Score of the best draw of any control, in words."""
    ends = [getattr(row, f"control_{kind}_{side}") for kind in SAME_SIZE for side in ("low", "high")]
    found = min(ends) if row.metric == "nats_per_token" else max(ends)
    return "none" if np.isnan(found) else f"{found:.3g}"


def task_in_words(task: object) -> str:
    """Task, or what is measured where there is no task, as it is read."""
    return short_name(task).replace("perplexity_wiki", "nats per token")
