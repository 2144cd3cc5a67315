"""Recurrence of group networks in single texts, compared with chance.

Counts as in the paper (individual networks with an IoU above a minimum), best one-to-one matches, and two
nulls: random masks of the same size in each block, and networks of signals whose neurons were shifted
against one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Array
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import absolute_correlation, matched
from fbn_exp.networks.surrogates import (
    ShuffledMasks,
    random_lags,
    shifted,
    sparse,
    swap_p_value,
    upper_p_value,
)
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class Templates:
    """Group networks, the rule for their members, and the IoU that a match exceeds."""

    networks: FunctionalNetworks
    threshold: Threshold
    minimum_iou: float

    @cached_property
    def masks(self) -> Tensor:
        """Members, bool of shape (K, N)."""
        return self.networks.masks(self.threshold)

    def members(self, maps: Tensor) -> Tensor:
        """Members of other networks over the same neurons (L, N), by the same rule."""
        return self.threshold.masks(maps, self.networks.layout)


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of the networks of n texts with K templates, text by text.

    Attributes
    ----------
    count : array of shape (n, K)
        Number of networks of the text with an IoU above the minimum.
    iou, correlation : array of shape (n, K)
        IoU, and |r| of maps, with the partner in the best one-to-one matching by that measure; 0 for a
        template without a partner, where there are more templates than networks.
    recurring : array of shape (n,)
        Number of networks of the text that match at least one template; overlapping templates share matches.
    """

    count: Array
    iou: Array
    correlation: Array
    recurring: Array


def individual_maps(
    signals: Tensor, rows_of_texts: Sequence[slice], decompose: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Decompose each text separately into maps (L, N).

    Raises
    ------
    MethodError
        If a text cannot be decomposed; the message gives its index.
    """
    maps = []
    for place, rows in enumerate(tqdm(rows_of_texts, desc="individual networks", unit=" text", leave=False)):
        try:
            maps.append(decompose(signals[rows]))
        except MethodError as error:
            raise MethodError(
                f"text {place} of {len(rows_of_texts)}: {error}; or leave short texts out with "
                "analysis.dataset.min_tokens, or set analysis.n_components"
            ) from error
    return maps


def shifted_maps(
    signals: Tensor,
    rows_of_texts: Sequence[slice],
    decompose: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> list[Tensor]:
    """Decompose each text after shifting every neuron circularly by its own random lag."""
    maps = []
    for rows in tqdm(rows_of_texts, desc="networks of shifted signals", unit=" text", leave=False):
        text = signals[rows]
        # to the left, as in the published counts
        with shifted(text, -random_lags(text, generator)):
            maps.append(decompose(text))
    return maps


def matches(templates: Templates, maps_of_texts: Sequence[Tensor]) -> Matches:
    """Match each text's networks (L, N) with the templates."""
    masks = templates.masks
    count, iou, correlation, recurring = [], [], [], []
    for maps in maps_of_texts:
        overlap = intersection_over_union(masks, templates.members(maps)).numpy()
        same = overlap > templates.minimum_iou
        count.append(same.sum(axis=1).astype(np.float64))
        recurring.append(float(same.any(axis=0).sum()))
        iou.append(matched(overlap))
        correlation.append(matched(absolute_correlation(templates.networks.maps, maps).numpy()))
    return Matches(np.array(count), np.array(iou), np.array(correlation), np.array(recurring))


@dataclass(frozen=True, eq=False)
class MaskNull:
    """Null of random masks that have the size of each individual mask in every block.

    Attributes
    ----------
    count : array of shape (D, K)
        Number of matches, summed over texts.
    iou : array of shape (D, K)
        Matched IoU, mean over texts.
    """

    count: Array
    iou: Array


def mask_null(
    templates: Templates, maps_of_texts: Sequence[Tensor], draws: int, rng: np.random.Generator
) -> MaskNull:
    """Count and match masks of random neurons, with the same sizes in the same blocks.

    In each draw the neurons of every text are permuted within their blocks, anew for every text.
    """
    shuffled = ShuffledMasks(templates.masks, templates.networks.layout)
    members: list[csr_matrix] = [sparse(templates.members(maps)) for maps in maps_of_texts]
    shape = (draws, len(templates.networks))
    count, iou = np.zeros(shape), np.zeros(shape)
    for draw in tqdm(range(draws), desc="random masks", unit=" draw", leave=False):
        for individual in members:
            overlap = shuffled.intersection_over_union(individual, rng)
            count[draw] += (overlap > templates.minimum_iou).sum(axis=1)
            iou[draw] += matched(overlap)
    return MaskNull(count, iou / len(members))


@dataclass(frozen=True, eq=False)
class NullComparison:
    """Chance level and p value per template; the last entry of each array is for all templates together.

    Attributes
    ----------
    expected, upper : array of shape (K + 1,)
        Mean and 95th percentile under the null.
    p_value : array of shape (K + 1,)
        One-sided: probability of a value at least as large under the null.
    """

    expected: Array
    upper: Array
    p_value: Array


def with_total(values: Array) -> Array:
    """Append the sum over templates to values (…, K)."""
    return np.concatenate([values, values.sum(axis=-1, keepdims=True)], axis=-1)


def with_mean(values: Array) -> Array:
    """Append the mean over templates to values (…, K)."""
    return np.concatenate([values, values.mean(axis=-1, keepdims=True)], axis=-1)


def compared_with_draws(observed: Array, draws: Array) -> NullComparison:
    """Compare values (K + 1,) with null draws (D, K + 1) of them."""
    return NullComparison(
        draws.mean(axis=0), np.quantile(draws, 0.95, axis=0), upper_p_value(observed, draws)
    )


def compared_with_texts(
    observed: Array, null: Array, mean: bool, draws: int, rng: np.random.Generator
) -> NullComparison:
    """Compare values of texts (n, K + 1) with one null value per text, as sums or means over texts.

    The 95th percentile is over resampled texts; the p value is that of a paired permutation test.
    """
    n = len(null)
    scale = 1 / n if mean else 1.0
    resampled = scale * rng.multinomial(n, np.full(n, 1 / n), size=draws) @ null
    p_value = swap_p_value(observed, null, draws, rng)
    return NullComparison(scale * null.sum(axis=0), np.quantile(resampled, 0.95, axis=0), p_value)
