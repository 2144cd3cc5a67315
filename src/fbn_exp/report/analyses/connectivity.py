"""Present the connectivity of networks as numbers, tables, a picture and sentences."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.connectivity import Connectivity
from fbn_exp.core.rows import Array
from fbn_exp.report.figures.connectivity import connectivity_figure
from fbn_exp.report.presentation import SIGNIFICANT, Presentation, present

SHOWN = 10


@present.register
def present_connectivity(connectivity: Connectivity) -> Presentation:
    """Present connectivity."""
    table = connectivity_table(connectivity)
    return Presentation(
        metrics=_metrics(connectivity, table),
        tables={"connectivity": table, "order": pd.DataFrame({"network": connectivity.order})},
        figures={"connectivity": lambda: connectivity_figure(connectivity)},
        title=f"Strongest connections in {connectivity.texts}",
        rows=_rows(table),
        lines=[_sentence(connectivity, table)],
        remarks=_remarks(connectivity),
    )


def connectivity_table(result: Connectivity) -> pd.DataFrame:
    """Table with a row per pair of networks, the smaller index first."""
    rows, columns = np.triu_indices(len(result.order), k=1)
    table: dict[str, Array | NDArray[np.int64]] = {"network": rows, "other": columns}
    for name, interval in (
        ("correlation", result.correlation),
        ("partial_correlation", result.partial),
    ):
        table[name] = interval.mean[rows, columns]
        table[f"{name}_ci_low"] = interval.low[rows, columns]
        table[f"{name}_ci_high"] = interval.high[rows, columns]
        table[f"{name}_p_value"] = interval.p_value[rows, columns]
    return pd.DataFrame(table)


def _significant(table: pd.DataFrame, name: str) -> int:
    """Count the pairs that differ from 0, the family-wise error over all pairs controlled."""
    return int((table[f"{name}_p_value"] < SIGNIFICANT).sum())


def _metrics(connectivity: Connectivity, table: pd.DataFrame) -> dict[str, float]:
    metrics = {
        "connectivity/texts": float(connectivity.n_texts),
        "connectivity/shrinkage": connectivity.shrinkage,
        "connectivity/mean_absolute": float(table["correlation"].abs().mean()),
        "connectivity/mean_absolute_partial": float(table["partial_correlation"].abs().mean()),
        "connectivity/pairs": float(len(table)),
        "connectivity/pairs_significant": float(_significant(table, "correlation")),
        "connectivity/pairs_significant_partial": float(_significant(table, "partial_correlation")),
    }
    matrix = np.abs(connectivity.correlation.mean - np.eye(len(connectivity.order)))
    for index, row in enumerate(matrix):
        # mean |r| of each network with the others
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
        rows[f"{name.split('_')[0]}: p"] = [f"{p:.2g}" for p in strongest[f"{name}_p_value"]]
    return pd.DataFrame(rows)


def _sentence(result: Connectivity, table: pd.DataFrame) -> str:
    if table.empty:
        return "A single network has no connections."
    plain, partial = table["correlation"].abs().mean(), table["partial_correlation"].abs().mean()
    significant = [_significant(table, name) for name in ("correlation", "partial_correlation")]
    return (
        f"{result.n_texts} texts, {len(table)} pairs: |r| is {plain:.2f} on average, partial {partial:.2f} "
        f"(shrinkage {result.shrinkage:.2f}); {significant[0]} and {significant[1]} pairs differ from 0 "
        f"(p < {SIGNIFICANT}, family-wise over all pairs: max-T; intervals are simultaneous)."
    )


def _remarks(result: Connectivity) -> list[str]:
    if result.fitted is False:
        return []
    known = (
        "The networks were fitted to some of these texts"
        if result.fitted
        else ("It is unknown whether the networks were fitted to these texts")
    )
    return [
        f"{known}: temporal ICA and PCA force a correlation of 0 over all tokens of the texts that they are "
        "fitted to. Take others (dataset.split=train analysis.dataset.split=test)."
    ]
