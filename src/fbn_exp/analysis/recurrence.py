"""Whether group networks recur in single texts, and more often than chance would have it.

Counts as in the paper (individual networks with an IoU above a minimum), best one-to-one matches, and two
nulls: random masks of the same size in each block, and networks of signals whose neurons were shifted
against one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import MethodError
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

Array = NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class Matches:
    """How the networks of n texts match K templates, text by text.

    Attributes
    ----------
    count : array of shape (n, K)
        Networks of the text with an IoU above the minimum.
    iou, correlation : array of shape (n, K)
        IoU, and |r| of maps, with the partner in the best one-to-one matching by that measure; 0 for a
        template without a partner, where there are more templates than networks.
    recurring : array of shape (n,)
        Networks of the text that match at least one template; templates that overlap share their matches.
    """

    count: Array
    iou: Array
    correlation: Array
    recurring: Array


def individual_maps(
    signals: Tensor, rows_of_texts: Sequence[slice], decompose: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Maps (L, N) of each text by itself.

    Raises
    ------
    MethodError
        If a text cannot be decomposed, naming it by its place.
    """
    found = []
    for place, rows in enumerate(tqdm(rows_of_texts, desc="individual networks", unit=" text", leave=False)):
        try:
            found.append(decompose(signals[rows]))
        except MethodError as error:
            raise MethodError(
                f"text {place} of {len(rows_of_texts)}: {error}; or leave short texts out with "
                "analysis.dataset.min_tokens, or set analysis.n_components"
            ) from error
    return found


def shifted_maps(
    signals: Tensor,
    rows_of_texts: Sequence[slice],
    decompose: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> list[Tensor]:
    """As ``individual_maps``, while every neuron of every text is shifted circularly by its own lag."""
    found = []
    for rows in tqdm(rows_of_texts, desc="networks of shifted signals", unit=" text", leave=False):
        text = signals[rows]
        # to the left, as published counts were drawn
        with shifted(text, -random_lags(text, generator)):
            found.append(decompose(text))
    return found


def matches(templates: Templates, maps_of_texts: Sequence[Tensor]) -> Matches:
    """Match each text's networks (L, N) with the templates."""
    masks = templates.masks
    count, iou, correlation, recurring = [], [], [], []
    for maps in maps_of_texts:
        overlap = intersection_over_union(masks, templates.threshold.masks(maps)).numpy()
        same = overlap > templates.minimum_iou
        count.append(same.sum(axis=1).astype(np.float64))
        recurring.append(float(same.any(axis=0).sum()))
        iou.append(matched(overlap))
        correlation.append(matched(absolute_correlation(templates.networks.maps, maps).numpy()))
    return Matches(np.array(count), np.array(iou), np.array(correlation), np.array(recurring))


@dataclass(frozen=True, eq=False)
class MaskNull:
    """Draws of random masks with each individual mask's size in every block.

    Attributes
    ----------
    count : array of shape (D, K)
        Sum over texts.
    iou : array of shape (D, K)
        Matched IoU, mean over texts.
    """

    count: Array
    iou: Array


def mask_null(
    templates: Templates, maps_of_texts: Sequence[Tensor], draws: int, rng: np.random.Generator
) -> MaskNull:
    """What masks of the same sizes in the same blocks, but of random neurons, would count and match.

    In each draw the neurons of every text are permuted within their blocks, anew for every text.
    """
    shuffled = ShuffledMasks(templates.masks, templates.networks.layout)
    members: list[csr_matrix] = [sparse(templates.threshold.masks(maps)) for maps in maps_of_texts]
    shape = (draws, len(templates.networks))
    count, iou = np.zeros(shape), np.zeros(shape)
    for draw in tqdm(range(draws), desc="random masks", unit=" draw", leave=False):
        for each in members:
            overlap = shuffled.intersection_over_union(each, rng)
            count[draw] += (overlap > templates.minimum_iou).sum(axis=1)
            iou[draw] += matched(overlap)
    return MaskNull(count, iou / len(members))


@dataclass(frozen=True, eq=False)
class NullComparison:
    """A number per template and its chance level; the last entry of each array is all templates together.

    Attributes
    ----------
    expected, upper : array of shape (K + 1,)
        Mean and 95th percentile under the null.
    p_value : array of shape (K + 1,)
        One-sided: as much or more under the null.
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
    """Compare values (K + 1,) with draws (D, K + 1) of them."""
    return NullComparison(
        draws.mean(axis=0), np.quantile(draws, 0.95, axis=0), upper_p_value(observed, draws)
    )


def compared_with_texts(
    observed: Array, null: Array, mean: bool, draws: int, rng: np.random.Generator
) -> NullComparison:
    """Compare values of texts (n, K + 1) with one null value of each; sums, or means over texts.

    The 95th percentile is over resampled texts, the p-value of a paired permutation test.
    """
    n = len(null)
    scale = 1 / n if mean else 1.0
    resampled = scale * rng.multinomial(n, np.full(n, 1 / n), size=draws) @ null
    p_value = swap_p_value(observed, null, draws, rng)
    return NullComparison(scale * null.sum(axis=0), np.quantile(resampled, 0.95, axis=0), p_value)
