"""Overlap of two sets of networks as numbers, tables and words."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.overlap import Overlaps
from fbn_exp.networks.matching import matched
from fbn_exp.report.figures.overlap import overlap_figure
from fbn_exp.report.presentation import Presentation, present

Array = NDArray[np.float64]

SIGNIFICANT = 0.05
ROWS = 20


@present.register
def present_overlap(found: Overlaps) -> Presentation:
    """Put overlaps into every form in which they are shown."""
    table = _table(found)
    return Presentation(
        metrics=_metrics(found, table),
        tables={"overlap": table, "overlap_pairs": _pairs(found)},
        figures={"overlap_between": lambda: overlap_figure(found)},
        title=f"Networks and their partners in {found.other}",
        rows=_rows(table),
        lines=[_sentence(found, table)],
    )


def _of_partner(values: Array, partner: NDArray[np.int64]) -> Array:
    found = np.take_along_axis(values, np.maximum(partner, 0)[:, None], axis=1)[:, 0]
    return np.where(partner >= 0, found, np.nan)


def _table(found: Overlaps) -> pd.DataFrame:
    """One row per network of the first set."""
    return pd.DataFrame(
        {
            "network": np.arange(len(found.sizes)),
            "size": found.sizes,
            "partner": found.partner,
            "partner_size": np.where(found.partner >= 0, found.other_sizes[found.partner], 0),
            "matched_iou": matched(found.iou),
            "matched_iou_chance": found.chance,
            "matched_iou_chance_95": found.upper,
            "matched_iou_p_value": found.p_value,
            "r_of_partner": _of_partner(found.correlation, found.partner),
            "partner_by_map": found.partner_by_map,
            "matched_r": matched(found.correlation),
        }
    )


def _pairs(found: Overlaps) -> pd.DataFrame:
    network, other = np.indices(found.iou.shape)
    return pd.DataFrame(
        {
            "network": network.ravel(),
            "other": other.ravel(),
            "iou": found.iou.ravel(),
            "r": found.correlation.ravel(),
        }
    )


def _metrics(found: Overlaps, table: pd.DataFrame) -> dict[str, float]:
    metrics = {
        "overlap/matched_iou": float(table["matched_iou"].mean()),
        "overlap/matched_iou/chance_masks": float(found.chance.mean()),
        "overlap/matched_iou/p_value": found.mean_p_value,
        "overlap/matched_r": float(table["matched_r"].mean()),
        "overlap/above_chance": float((found.p_value < SIGNIFICANT).sum()),
        "overlap/networks": float(found.iou.shape[0]),
        "overlap/other_networks": float(found.iou.shape[1]),
    }
    names = ("partner", "matched_iou", "matched_iou_chance", "matched_iou_p_value", "matched_r")
    for row in table.to_dict("records"):
        metrics |= {f"network/{row['network']}/{name}": float(row[name]) for name in names}
    return metrics


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.head(ROWS)
    return pd.DataFrame(
        {
            "network": shown["network"].astype(str),
            "neurons": [f"{size:,}" for size in shown["size"]],
            "partner": ["–" if partner < 0 else str(partner) for partner in shown["partner"]],
            "its neurons": [f"{size:,}" for size in shown["partner_size"]],
            "IoU": [f"{value:.3f}" for value in shown["matched_iou"]],
            "chance": [
                f"{mean:.3f} (≤ {upper:.3f})"
                for mean, upper in zip(
                    shown["matched_iou_chance"], shown["matched_iou_chance_95"], strict=True
                )
            ],
            "p": [f"{p:.2g}" for p in shown["matched_iou_p_value"]],
            "|r| of maps": [f"{value:.2f}" for value in shown["r_of_partner"]],
        }
    )


def _sentence(found: Overlaps, table: pd.DataFrame) -> str:
    return (
        f"Matched one to one, {found.iou.shape[0]} and {found.iou.shape[1]} networks overlap with an IoU of "
        f"{table['matched_iou'].mean():.3f} on average, {found.chance.mean():.3f} by chance (random masks of "
        f"the same size in each block, p = {found.mean_p_value:.2g}); {(found.p_value < SIGNIFICANT).sum()} "
        f"of {len(table)} exceed chance at p < {SIGNIFICANT}. Maps correlate with |r| = "
        f"{table['matched_r'].mean():.2f}."
    )
