"""Rules of the verdicts on the paper's claims: rows that are judged, harm, and what could have been seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.exact import mcnemar_power
from fbn_exp.experiments.paper.tables import SAME_SIZE, short_name
from fbn_exp.report.presentation import SIGNIFICANT

# tasks that a verdict names; of more, their number
FEW_TASKS = 2
# items of a task below which no double dissociation is judged: fewer have no power after Holm's correction
DISSOCIATION_ITEMS = 400


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
        ``reproduced``, ``reproduced in part`` and in how many cases, ``not reproduced on`` a model and
        tasks, with the effect that could have been seen; ``not shown`` where no effect could have been. Never
        "false".
    numbers : str
        Numbers that the verdict rests on.
    """

    claim: str
    rule: str
    verdict: str
    numbers: str


def verdict(holding: int, all_: int, where: str, detectable: Iterable[float] = ()) -> str:
    """Verdict in words, from the number of cases that meet a rule, of all; see ``not_reproduced``."""
    if holding == all_:
        return "reproduced"
    return f"reproduced in part ({holding} of {all_})" if holding else not_reproduced(where, detectable)


def not_reproduced(where: str, detectable: Iterable[float] = ()) -> str:
    """Verdict on a claim for which nothing was found: where, and what could have been found.

    Parameters
    ----------
    where : str
        Model and tasks.
    detectable : iterable of float
        Minimum detectable effect of each case; infinite where nothing could have been found, NaN where that
        is unknown.
    """
    effects = [effect for effect in detectable if not np.isnan(effect)]
    seen = sorted(effect for effect in effects if np.isfinite(effect))
    if not effects:
        return f"not reproduced on {where}"
    if not seen:
        return f"not shown on {where}, where no likely effect could have been seen"
    ends = [f"{end:.2g}" for end in (seen[0], seen[-1])]
    size = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    blind = (
        f", in {len(effects) - len(seen)} of {len(effects)} cases none" if len(seen) < len(effects) else ""
    )
    return f"not reproduced on {where}, which could have seen an effect of {size}{blind}"


def place(model: str, rows: pd.DataFrame) -> str:
    """Model and tasks of a claim, in words."""
    tasks = list(dict.fromkeys(map(task_in_words, rows["task"])))
    return f"{model}, {', '.join(tasks) if len(tasks) <= FEW_TASKS else f'{len(tasks)} tasks'}"


def against_untouched(rows: pd.DataFrame) -> list[float]:
    """Difference from the untouched model that could have been seen, for each row; NaN if unknown."""
    return [float(effect) for effect in rows.get("detectable", pd.Series(np.nan, index=rows.index))]


def dissociation_power(effect: float, churn: float, n: int, n_tests: int) -> float:
    """Power to find a double dissociation of right and wrong items: two effects, each in one task.

    Parameters
    ----------
    effect : float
        By how much each network harms its task more than the other network does.
    churn : float
        Share of items that differ both ways besides.
    n : int
        Number of items of each task.
    n_tests : int
        Number of comparisons that Holm corrects for; the first step is the hardest.
    """
    return mcnemar_power(effect, churn, n, SIGNIFICANT / n_tests) ** 2


def one_metric_per_task(scores: pd.DataFrame) -> pd.DataFrame:
    """Select a metric for each task: balanced accuracy if it was measured, else the first metric."""
    preferred = scores.assign(order=(scores["metric"] != "balanced_acc").astype(int))
    first = preferred.groupby("task", sort=False)["order"].transform("min")
    rows = preferred[preferred["order"] == first]
    same = ["task", "networks", "neurons", "factor"]
    return rows.groupby(same, sort=False, dropna=False).head(1).reset_index(drop=True)


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


def draws_in_words(rows: pd.DataFrame) -> str:
    """Number of draws of each kind of control, and the smallest p that they allow."""
    if "draws" not in rows or rows["draws"].isna().all():
        return "draws unknown"
    draws = int(rows["draws"].min())
    return f"{draws} draws of each kind (p ≥ {1 / (1 + draws):.2g})"
