"""Overlap of two sets of networks over the same neurons, as before and after training."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.analysis.base import Analysis, Recording
from fbn_exp.analysis.config import OverlapConfig
from fbn_exp.core.errors import LayoutError
from fbn_exp.core.rows import Array
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import absolute_correlation, matched, partners
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.networks.surrogates import ShuffledMasks, sparse, upper_p_value
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Similarity of K networks to L others.

    Attributes
    ----------
    iou, correlation : array of shape (K, L)
        IoU of masks, and |r| of maps.
    partner, partner_by_map : array of shape (K,)
        Partner of each network in the best one-to-one matching by IoU, and by |r|; −1 for none.
    chance, upper, p_value : array of shape (K,)
        Null of the matched IoU, from random masks of the others' sizes in each block, matched anew in every
        draw: mean, 95th percentile, and p value of the observed IoU.
    mean_p_value : float
        P value of the mean matched IoU of all networks.
    sizes, other_sizes : arrays of shape (K,) and (L,)
        Number of neurons of each network.
    other : str
        Folder of the others.
    threshold : str
        Rule of membership, in words.
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
    other: str = ""
    threshold: str = ""


class Overlap(OverlapConfig, Analysis):
    """Compare networks with those of another folder; no model is run."""

    records = False
    families = ("overlap", "network")

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Overlaps:
        other = FunctionalNetworks.load(local_folder(self.other))
        _require_same_layout(networks, other, self.other)
        result = overlaps(networks, other, threshold, self.null_draws, self.seed)
        return replace(result, other=self.other, threshold=threshold.describe())


def _require_same_layout(networks: FunctionalNetworks, other: FunctionalNetworks, folder: str) -> None:
    if networks.layout != other.layout:
        raise LayoutError(
            f"analysis.other={folder} has networks of {other.provenance.get('model', 'another model')} over "
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
