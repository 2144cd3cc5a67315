"""Overlap of two sets of networks over the same neurons, as before and after training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.benchmarks.base import Measurement, NetworkBenchmark, Recording
from fbn_exp.errors import ConfigError, LayoutError
from fbn_exp.matching import ShuffledMasks, absolute_correlation, matched, partners, sparse, upper_p_value
from fbn_exp.networks import FunctionalNetworks, intersection_over_union
from fbn_exp.thresholds import Threshold

Array = NDArray[np.float64]

SIGNIFICANT = 0.05
ROWS = 20
NUMBERED_NETWORKS = 16


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Similarity of K networks with L others.

    Attributes
    ----------
    iou, correlation : array of shape (K, L)
        Of masks, and |r| of maps.
    partner, partner_by_map : array of shape (K,)
        Partner of each network in the best one-to-one matching by IoU, and by |r|; −1 for none.
    chance, upper, p_value : array of shape (K,)
        Matched IoU with random masks of the others' sizes in each block, matched anew in every draw: mean,
        95th percentile, share of draws that reach the real one.
    mean_p_value : float
        The same for the mean matched IoU of all networks.
    sizes, other_sizes : arrays of shape (K,) and (L,)
        Neurons.
    """

    iou: Array
    correlation: Array
    partner: NDArray[np.int64]
    partner_by_map: NDArray[np.int64]
    chance: Array
    upper: Array
    p_value: Array
    mean_p_value: float
    sizes: NDArray[np.int64]
    other_sizes: NDArray[np.int64]


class Overlap(NetworkBenchmark):
    """Compare networks with those of another folder; no model is run.

    Parameters
    ----------
    other : str
        Folder of networks with the same layout; their weights may differ.
    null_draws : int
        Draws of random masks.
    seed : int
        Of the draws.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    records = False

    def __init__(self, other: str, null_draws: int = 1_000, seed: int = 0) -> None:
        if null_draws < 1:
            raise ConfigError(f"benchmark.null_draws is {null_draws}, must be at least 1")
        self.other = other
        self.null_draws = null_draws
        self.seed = seed

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Measurement:
        other = FunctionalNetworks.load(Path(self.other).expanduser())
        _require_same_layout(networks, other, self.other)
        found = overlaps(networks, other, threshold, self.null_draws, self.seed)
        table = _table(found)
        return Measurement(
            metrics=_metrics(found, table),
            tables={"overlap": table, "overlap_pairs": _pairs(found)},
            figures={"overlap_between": _figure(found, threshold.describe())},
            title=f"Networks and their partners in {self.other}",
            rows=_rows(table),
            lines=[_sentence(found, table)],
        )


def _require_same_layout(networks: FunctionalNetworks, other: FunctionalNetworks, folder: str) -> None:
    if networks.layout != other.layout:
        raise LayoutError(
            f"benchmark.other={folder} has networks of {other.provenance.get('model', 'another model')} over "
            f"{other.layout.describe()} from {other.layout.blocks[0].path}, the first set has "
            f"{networks.layout.describe()} from {networks.layout.blocks[0].path}: only networks over the "
            "same neurons overlap; compare sets of one architecture and site"
        )


def overlaps(
    networks: FunctionalNetworks, other: FunctionalNetworks, threshold: Threshold, draws: int, seed: int
) -> Overlaps:
    """Compare two sets of networks over one layout with each other and with random masks."""
    masks, other_masks = networks.masks(threshold), other.masks(threshold)
    iou = intersection_over_union(masks, other_masks).numpy()
    correlation = absolute_correlation(networks.maps, other.maps).numpy()
    shuffled, members = ShuffledMasks(masks, networks.layout), sparse(other_masks)
    rng = np.random.default_rng(seed)
    bar = tqdm(range(draws), desc="random masks", unit=" draw", leave=False, delay=1)
    null = np.stack([matched(shuffled.intersection_over_union(members, rng)) for _ in bar])
    observed = matched(iou)
    return Overlaps(
        iou,
        correlation,
        partners(iou),
        partners(correlation),
        null.mean(axis=0),
        np.quantile(null, 0.95, axis=0),
        upper_p_value(observed, null),
        float(upper_p_value(observed.mean(), null.mean(axis=1))),
        masks.sum(dim=1).numpy(),
        other_masks.sum(dim=1).numpy(),
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


def _figure(found: Overlaps, rule: str) -> Figure:
    """Both matrices with the others in the order of their partners: agreement is a diagonal."""
    order = [int(each) for each in found.partner if each >= 0]
    order += [each for each in range(found.iou.shape[1]) if each not in set(order)]
    rows, columns = found.iou.shape
    width = min(8.0, max(3.8, 2.2 + 0.34 * columns))
    height = min(9.0, max(3.4, 1.6 + 0.34 * rows))
    figure = Figure(figsize=(2 * width, height), layout="constrained")
    axes = figure.subplots(1, 2)
    panels = (
        (axes[0], found.iou, f"IoU of masks [{rule}]", max(0.05, float(found.iou.max()))),
        (axes[1], found.correlation, "|r| of maps", 1.0),
    )
    for panel, values, title, top in panels:
        _panel(panel, values[:, order], order, title, top)
    figure.suptitle("Overlap of two sets of networks, the others ordered by the best matching", fontsize=10)
    return figure


def _panel(axes: Axes, values: Array, order: list[int], title: str, top: float) -> None:
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=top, aspect="auto", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("network of the other set")
    axes.set_ylabel("network")
    if max(values.shape) > NUMBERED_NETWORKS:
        return
    axes.set_xticks(range(len(order)), [str(each) for each in order])
    axes.set_yticks(range(len(values)))
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < top / 2 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
