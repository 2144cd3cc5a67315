"""Connectivity of the networks on texts that they do not come from."""

import numpy as np
import pandas as pd
from typing_extensions import override

from fbn_exp.activations import recorded
from fbn_exp.benchmarks.base import Measurement, NetworkBenchmark, Recording
from fbn_exp.connectivity import Connectivity, connectivity, connectivity_figure, connectivity_table
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.dual_regression import time_courses
from fbn_exp.errors import ConfigError
from fbn_exp.models import LanguageModel
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.thresholds import Threshold

SHOWN = 10


class ConnectivityOfNetworks(NetworkBenchmark):
    """Correlation and partial correlation of the networks' time courses within texts.

    Parameters
    ----------
    dataset : TextDataset
        Texts to record; time courses are least squares of their signals on the maps.
    draws : int
        Bootstrap draws of texts.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    def __init__(self, dataset: TextDataset, draws: int = 1_000, seed: int = 0) -> None:
        if draws < 1:
            raise ConfigError(f"benchmark.draws is {draws}, must be at least 1")
        self.dataset = dataset
        self.draws = draws
        self.seed = seed

    @override
    def prepare(self, lm: LanguageModel) -> None:
        self.texts: Texts = self.dataset.sample(lm.tokenizer)

    @override
    def text_digests(self) -> frozenset[str]:
        return self.texts.text_digests

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Measurement:
        assert recording is not None
        recipe = recording.recipe
        with recorded(recording.lm, self.texts, recipe.layout, recipe.signals, recording.scratch) as signals:
            courses = time_courses(signals.values, networks.maps).numpy()
            found = connectivity(courses, signals.token_of_row()[0], self.seed, self.draws)
        table = connectivity_table(found)
        return Measurement(
            metrics=_metrics(found, table),
            tables={"connectivity": table, "order": pd.DataFrame({"network": found.order})},
            figures={"connectivity": connectivity_figure(found)},
            title=f"Strongest connections in {self.dataset.describe()}",
            rows=_rows(table),
            lines=[_sentence(found, table)],
        )


def _certain(table: pd.DataFrame, name: str) -> pd.Series:
    """Pairs whose interval excludes 0."""
    return table[f"{name}_ci_low"] * table[f"{name}_ci_high"] > 0


def _metrics(found: Connectivity, table: pd.DataFrame) -> dict[str, float]:
    metrics = {
        "connectivity/texts": float(found.n_texts),
        "connectivity/shrinkage": found.shrinkage,
        "connectivity/mean_absolute": float(table["correlation"].abs().mean()),
        "connectivity/mean_absolute_partial": float(table["partial_correlation"].abs().mean()),
        "connectivity/pairs": float(len(table)),
        "connectivity/pairs_certain": float(_certain(table, "correlation").sum()),
        "connectivity/pairs_certain_partial": float(_certain(table, "partial_correlation").sum()),
    }
    matrix = np.abs(found.correlation.mean - np.eye(len(found.order)))
    for index, row in enumerate(matrix):
        # with how strong a bond each network is tied to the others
        metrics[f"network/{index}/connectivity"] = float(np.nansum(row) / max(1, len(row) - 1))
    return metrics


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    strongest = table.reindex(table["correlation"].abs().sort_values(ascending=False).index).head(SHOWN)
    rows: dict[str, list[str]] = {
        "networks": [f"{row.network}, {row.other}" for row in strongest.itertuples()]
    }
    for name in ("correlation", "partial_correlation"):
        rows[name.replace("_", " ")] = [f"{value:+.2f}" for value in strongest[name]]
        rows[f"{name.split('_')[0]}: 95% interval"] = [
            f"{low:+.2f} … {high:+.2f}"
            for low, high in zip(strongest[f"{name}_ci_low"], strongest[f"{name}_ci_high"], strict=True)
        ]
    return pd.DataFrame(rows)


def _sentence(found: Connectivity, table: pd.DataFrame) -> str:
    if table.empty:
        return "A single network has no connections."
    return (
        f"{found.n_texts} texts, {len(table)} pairs: mean |r| {table['correlation'].abs().mean():.2f}, "
        f"partial {table['partial_correlation'].abs().mean():.2f} (shrinkage {found.shrinkage:.2f}); "
        f"the 95% interval over texts excludes 0 for {_certain(table, 'correlation').sum()} and "
        f"{_certain(table, 'partial_correlation').sum()} pairs."
    )
