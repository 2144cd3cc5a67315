"""Results of several classifiers of one task, such as three seeds, taken together over the same texts."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.bootstrap import BOOTSTRAPS
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.jobs import Jobs

RESULT = ["job", "task", "metric"]


class Pooled:
    """Means over classifiers: as they are, and resampled over texts and classifiers.

    Both are drawn with replacement, the same for all results of a task, so that differences are paired. Few
    classifiers vary less in resamples than in truth: beside the interval stands each of them.

    Parameters
    ----------
    jobs : Jobs
        Results of a sweep.
    seed : int
        Seed of the resampling.
    """

    def __init__(self, jobs: Jobs, seed: int = 0) -> None:
        self.items = {} if jobs.items.empty else dict(list(jobs.items.groupby(RESULT)))
        self.draws = {} if jobs.draws.empty else dict(list(jobs.draws.groupby([*RESULT, "kind"])))
        self.seed = seed

    def means(self, rows: pd.DataFrame) -> tuple[Array, Array]:
        """Mean score and mean untouched score over classifiers.

        Parameters
        ----------
        rows : DataFrame
            A result of each classifier, over the same texts, in an order that is the same for all settings.

        Returns
        -------
        value, baseline : array of shape (1 + B,)
            As they are, then resampled; NaN where the values of texts are not at hand.
        """
        return self._mean_of(rows, "value", "weight"), self._mean_of(rows, "baseline", "baseline_weight")

    def beyond(self, rows: pd.DataFrame, kind: str) -> Array:
        """By how much a reference scores higher than the networks; arguments and shape as of ``means``."""
        return self._mean_of(rows, f"control_{kind}", "weight") - self._mean_of(rows, "value", "weight")

    def mean_draws(self, rows: pd.DataFrame, kind: str) -> Array:
        """Mean score over classifiers of each draw of a kind of control, shape (R,).

        Draws of the same place have a generator in common, and stand for one choice of neurons: they are no
        more choices for more classifiers.
        """
        found = [self.draws.get((*key, kind)) for key in _keys(rows)]
        drawn = [table.set_index("draw")["value"] for table in found if table is not None]
        if len(drawn) < len(rows):
            return np.array([])
        values: Array = pd.concat(drawn, axis=1, join="inner").mean(axis=1).to_numpy(dtype=float)
        return values

    def _mean_of(self, rows: pd.DataFrame, column: str, weight: str) -> Array:
        tables = [self.items.get(key) for key in _keys(rows)]
        known = [table.sort_values("item") for table in tables if table is not None and column in table]
        if len(known) < len(rows) or len({len(table) for table in known}) != 1:
            return np.full(1 + BOOTSTRAPS, np.nan)
        texts, classifiers = self._resamples(len(known[0]), len(known))
        values = np.stack([_resampled(table, column, weight, texts) for table in known], axis=1)
        return _mean(values, classifiers)

    def _resamples(self, n_texts: int, n_classifiers: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(self.seed)
        texts, classifiers = (
            np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), BOOTSTRAPS)])
            for n in (n_texts, n_classifiers)
        )
        return texts, classifiers


def _keys(rows: pd.DataFrame) -> list[Any]:
    return list(rows[RESULT].itertuples(index=False, name=None))


def _resampled(table: pd.DataFrame, name: str, weight: str, texts: Array) -> Array:
    """Weighted mean of a column on resampled texts; NaN where no drawn text has a weight."""
    weights, values = (table[column].to_numpy(dtype=float) for column in (weight, name))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Array = texts @ np.where(weights > 0, weights * values, 0.0) / (texts @ weights)
    return means


def _mean(values: Array, times: Array) -> Array:
    """Mean over classifiers, each as often as it was drawn."""
    chosen = np.where(times > 0, times * values, 0.0)
    mean: Array = chosen.sum(axis=1) / times.sum(axis=1)
    return mean


def ends(resampled: Array, alpha: float) -> tuple[float, float]:
    """Ends of the interval of values whose first is the value itself; NaN if a resample has none."""
    # of values that occur: between a number and infinity lies none
    low, high = np.quantile(resampled[1:], [alpha / 2, 1 - alpha / 2], method="nearest").tolist()
    return low, high


def in_order(rows: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """One row for each model, in the given order; fewer where a model has none."""
    first = rows.drop_duplicates("model").set_index("model")
    return first.loc[[model for model in models if model in first.index]].reset_index()


def of_most(rows: pd.DataFrame) -> dict[Hashable, Any]:
    """Row of most classifiers: their mean where there are several."""
    return rows.sort_values("models", kind="stable").iloc[-1].to_dict()
