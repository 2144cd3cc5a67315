"""Scores with their values per item."""

from dataclasses import dataclass, replace

import numpy as np

from fbn_exp.core.rows import Array, Indices


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
    strata : array of int, shape (n,), or None
        Stratum of each item, such as its label, if the numbers of items of the strata are fixed, not drawn:
        items are then resampled within strata.
    from_untouched : bool
        True for a distance from the untouched model, such as a divergence: that model itself has the best
        value by construction, so that a difference from it is no test, and has no p value.
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
    strata: Indices | None = None
    from_untouched: bool = False

    @property
    def name(self) -> str:
        """Full name, ``<task>/<metric>``."""
        return f"{self.task}/{self.metric}"

    @property
    def groups(self) -> list[Indices]:
        """Indices of the items of each stratum; of all items where there are no strata."""
        if self.strata is None:
            return [np.arange(self.n)]
        return [np.flatnonzero(self.strata == each) for each in np.unique(self.strata)]

    def used_weights(self) -> Array:
        """Weight of each item, shape (n,); ones where weights are equal."""
        return np.ones(self.n) if self.weights is None else self.weights

    def influence(self) -> Array:
        """Part of each item in the deviation of the value from its mean (delta method), shape (n,).

        The weighted deviation from the mean of the item's stratum, over the sum of all weights.

        Raises
        ------
        ValueError
            If the metric is not a mean over items.
        """
        if self.items is None:
            raise ValueError(f"{self.name} has no items")
        weights = self.used_weights()
        influence = np.zeros(self.n)
        with np.errstate(invalid="ignore"):  # inf - inf gives NaN, as intended
            for group in self.groups:
                total = weights[group].sum()
                mean = (weights[group] * self.items[group]).sum() / total if total > 0 else 0.0
                influence[group] = weights[group] * (self.items[group] - mean) / weights.sum()
        return influence


def standard_error(influence: Array, groups: list[Indices]) -> float:
    """Standard error from the parts of independent items; NaN if a stratum holds a single item."""
    with np.errstate(invalid="ignore"):
        variances = [
            len(group) / (len(group) - 1) * (influence[group] ** 2).sum() if len(group) > 1 else float("nan")
            for group in groups
        ]
    return float(np.sqrt(np.sum(variances)))


def mean_score(
    task: str,
    metric: str,
    items: Array,
    *,
    higher_is_better: bool,
    weights: Array | None = None,
    chance: float | None = None,
    texts: tuple[str, ...] | None = None,
    strata: Indices | None = None,
    from_untouched: bool = False,
) -> Score:
    """Make a score that is a (weighted) mean over items, with its standard error by the delta method.

    With strata, the error is that of items drawn within each of them: that of a mean whose items do not
    differ within strata is 0. The standard error of a single item, or of a stratum of one, is unknown: NaN.
    """
    value = float(np.average(items, weights=weights))
    n = len(items)
    score = Score(task, metric, value, np.nan, n, higher_is_better, items, weights, chance, texts, strata)
    score = replace(score, from_untouched=from_untouched)
    return replace(score, standard_error=standard_error(score.influence(), score.groups))
