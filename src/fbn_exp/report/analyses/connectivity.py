"""Connectivity of networks as numbers, tables and words."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.connectivity import Connectivity
from fbn_exp.report.figures.connectivity import connectivity_figure
from fbn_exp.report.presentation import Presentation, present

Array = NDArray[np.float64]

SHOWN = 10


@present.register
def present_connectivity(found: Connectivity) -> Presentation:
    """Put connectivity into every form in which it is shown."""
    table = connectivity_table(found)
    return Presentation(
        metrics=_metrics(found, table),
        tables={"connectivity": table, "order": pd.DataFrame({"network": found.order})},
        figures={"connectivity": lambda: connectivity_figure(found)},
        title=f"Strongest connections in {found.texts}",
        rows=_rows(table),
        lines=[_sentence(found, table)],
    )


def connectivity_table(found: Connectivity) -> pd.DataFrame:
    """One row per pair of networks, the first index the smaller."""
    rows, columns = np.triu_indices(len(found.order), k=1)
    table: dict[str, Array | NDArray[np.int64]] = {"network": rows, "other": columns}
    for name, interval in (("correlation", found.correlation), ("partial_correlation", found.partial)):
        table[name] = interval.mean[rows, columns]
        table[f"{name}_ci_low"] = interval.low[rows, columns]
        table[f"{name}_ci_high"] = interval.high[rows, columns]
    return pd.DataFrame(table)


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
    plain, partial = table["correlation"].abs().mean(), table["partial_correlation"].abs().mean()
    certain = [_certain(table, name).sum() for name in ("correlation", "partial_correlation")]
    return (
        f"{found.n_texts} texts, {len(table)} pairs: |r| is {plain:.2f} on average, partial {partial:.2f} "
        f"(shrinkage {found.shrinkage:.2f}); the 95% interval over texts excludes 0 for {certain[0]} and "
        f"{certain[1]} pairs."
    )
