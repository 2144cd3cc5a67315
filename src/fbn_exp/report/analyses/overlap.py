"""Present the overlap of two sets of networks as numbers, tables, a picture and sentences."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.overlap import Overlaps
from fbn_exp.core.rows import Array
from fbn_exp.networks.matching import matched
from fbn_exp.report.figures.overlap import overlap_figure
from fbn_exp.report.presentation import ROWS, SIGNIFICANT, Presentation, present


@present.register
def present_overlap(overlaps: Overlaps) -> Presentation:
    """Present overlaps."""
    table = _table(overlaps)
    return Presentation(
        metrics=_metrics(overlaps, table),
        tables={"overlap": table, "overlap_pairs": _pairs(overlaps)},
        figures={"overlap_between": lambda: overlap_figure(overlaps)},
        title=f"Networks and their partners in {overlaps.other}",
        rows=_rows(table),
        lines=[_sentence(overlaps, table)],
    )


def _of_partner(values: Array, partner: NDArray[np.int64]) -> Array:
    values_of_partner = np.take_along_axis(values, np.maximum(partner, 0)[:, None], axis=1)[:, 0]
    return np.where(partner >= 0, values_of_partner, np.nan)


def _table(overlaps: Overlaps) -> pd.DataFrame:
    """Table with a row per network of the first set."""
    return pd.DataFrame(
        {
            "network": np.arange(len(overlaps.sizes)),
            "size": overlaps.sizes,
            "partner": overlaps.partner,
            "partner_size": np.where(overlaps.partner >= 0, overlaps.other_sizes[overlaps.partner], 0),
            "matched_iou": matched(overlaps.iou),
            "matched_iou_chance": overlaps.chance,
            "matched_iou_chance_95": overlaps.upper,
            "matched_iou_p_value": overlaps.p_value,
            "r_of_partner": _of_partner(overlaps.correlation, overlaps.partner),
            "partner_by_map": overlaps.partner_by_map,
            "matched_r": matched(overlaps.correlation),
        }
    )


def _pairs(overlaps: Overlaps) -> pd.DataFrame:
    network, other = np.indices(overlaps.iou.shape)
    return pd.DataFrame(
        {
            "network": network.ravel(),
            "other": other.ravel(),
            "iou": overlaps.iou.ravel(),
            "r": overlaps.correlation.ravel(),
        }
    )


def _metrics(overlaps: Overlaps, table: pd.DataFrame) -> dict[str, float]:
    metrics = {
        "overlap/matched_iou": float(table["matched_iou"].mean()),
        "overlap/matched_iou/chance_masks": float(overlaps.chance.mean()),
        "overlap/matched_iou/p_value": overlaps.mean_p_value,
        "overlap/matched_r": float(table["matched_r"].mean()),
        "overlap/above_chance": float((overlaps.p_value < SIGNIFICANT).sum()),
        "overlap/networks": float(overlaps.iou.shape[0]),
        "overlap/other_networks": float(overlaps.iou.shape[1]),
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


def _sentence(result: Overlaps, table: pd.DataFrame) -> str:
    mean, chance = table["matched_iou"].mean(), result.chance.mean()
    return (
        f"Matched one to one, {result.iou.shape[0]} and {result.iou.shape[1]} networks overlap with an IoU "
        f"of {mean:.3f} on average, {chance:.3f} by chance (random masks of the same size in each block, "
        f"p = {result.mean_p_value:.2g}); {(result.p_value < SIGNIFICANT).sum()} of {len(table)} exceed "
        f"chance at p < {SIGNIFICANT}. Maps correlate with |r| = {table['matched_r'].mean():.2f}."
    )
