"""Scores with their items, and differences between two runs over the same items."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Score:
    """One metric of one task.

    Attributes
    ----------
    task, metric : str
        As in ``<task>/<metric>``.
    value : float
        The weighted mean of the items; where there are none, what the benchmark computed.
    standard_error : float
        Of the value over items.
    n : int
        Number of items.
    higher_is_better : bool
        Direction of the metric.
    items : array of shape (n,) or None
        Value of each item, None for a metric that is no mean over items.
    weights : array of shape (n,) or None
        Of each item in the mean, such as its number of tokens; None for equal weights.
    chance : float or None
        What guessing scores, where it is known.
    texts : tuple of str or None
        What the model wrote for each item, where it writes.
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
        """``<task>/<metric>``."""
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
    """Score that is a (weighted) mean over items, its standard error by the delta method.

    The standard error of a single item is unknown: NaN.
    """
    used = np.ones(len(items)) if weights is None else weights
    value = float(np.average(items, weights=used))
    n = len(items)
    with np.errstate(invalid="ignore"):  # inf - inf is the NaN that it should be
        residual = used * (items - value)
    error = float(np.sqrt((residual**2).sum() * n / (n - 1)) / used.sum()) if n > 1 else float("nan")
    return Score(task, metric, value, error, n, higher_is_better, items, weights, chance, texts)
