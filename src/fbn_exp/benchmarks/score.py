"""Scores with their values per item."""

from dataclasses import dataclass

import numpy as np

from fbn_exp.core.rows import Array


@dataclass(frozen=True, eq=False)
class Score:
    """One metric of one task.

    Attributes
    ----------
    task, metric : str
        Names of both.
    value : float
        Weighted mean of the items; for a metric without items, the value from the benchmark.
    standard_error : float
        Standard error of the value over items.
    n : int
        Number of items.
    higher_is_better : bool
        Direction of the metric.
    items : array of shape (n,) or None
        Value of each item, None for a metric that is not a mean over items.
    weights : array of shape (n,) or None
        Weight of each item in the mean, such as its number of tokens; None for equal weights.
    chance : float or None
        Score of guessing, if known.
    texts : tuple of str or None
        Text generated for each item, if the benchmark generates text.
    """

    task: str
    metric: str
    value: float
    standard_error: float
    n: int
    higher_is_better: bool
    items: Array | None = None
    weights: Array | None = None
    chance: float | None = None
    texts: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Full name, ``<task>/<metric>``."""
        return f"{self.task}/{self.metric}"


def mean_score(
    task: str,
    metric: str,
    items: Array,
    *,
    higher_is_better: bool,
    weights: Array | None = None,
    chance: float | None = None,
    texts: tuple[str, ...] | None = None,
) -> Score:
    """Make a score that is a (weighted) mean over items, with its standard error by the delta method.

    The standard error of a single item is unknown: NaN.
    """
    used = np.ones(len(items)) if weights is None else weights
    value = float(np.average(items, weights=used))
    n = len(items)
    with np.errstate(invalid="ignore"):  # inf - inf gives NaN, as intended
        residual = used * (items - value)
    error = float(np.sqrt((residual**2).sum() * n / (n - 1)) / used.sum()) if n > 1 else float("nan")
    return Score(task, metric, value, error, n, higher_is_better, items, weights, chance, texts)
