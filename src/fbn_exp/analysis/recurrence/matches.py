"""Networks of single texts, and their matches with group networks.

Counts as in the paper (individual networks with an IoU above a minimum), best one-to-one matches, and how
specific these are for their template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Array, Indices, Rows
from fbn_exp.methods.base import Decomposition
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import absolute_correlation, matched, partners
from fbn_exp.networks.surrogates import random_lags, shifted
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.config import Pole


@dataclass(frozen=True, eq=False)
class Templates:
    """Group networks, the rule for their members, and the IoU that a match exceeds.

    Attributes
    ----------
    networks : FunctionalNetworks
        The group networks.
    threshold : Threshold
        The rule.
    minimum_iou : float
        IoU that a match exceeds.
    align_signs : bool
        Compare other networks with each template by the sign whose members overlap with it more. Which end of
        a map is positive is a convention, and may be the other one in another text. If false, by the sign of
        either map's own skewness.
    """

    networks: FunctionalNetworks
    threshold: Threshold
    minimum_iou: float
    align_signs: bool = True

    @cached_property
    def masks(self) -> Tensor:
        """Members, bool of shape (K, N)."""
        return self.networks.masks(self.threshold)

    @property
    def signs(self) -> tuple[int, ...]:
        """Signs by which other networks are compared; one where both poles hold the members."""
        return (1, -1) if self.align_signs and self.threshold.pole is not Pole.both else (1,)

    def members(self, maps: Tensor) -> Tensor:
        """Members of other networks over the same neurons (L, N) by the same rule, (S · L, N).

        All L networks with the first of ``signs``, then all with the next.
        """
        return torch.cat([self.threshold.masks(sign * maps, self.networks.layout) for sign in self.signs])

    def with_best_sign(self, overlap: Array) -> Array:
        """IoU (K, L) by the sign with the larger one, of templates and ``members`` (K, S · L)."""
        best: Array = overlap.reshape(len(overlap), len(self.signs), -1).max(axis=1)
        return best

    def members_of(self, text: "Individual") -> Tensor:
        """``members`` of a text's networks, computed once: several measures and nulls need them."""
        if text not in self._members:
            self._members[text] = self.members(text.maps)
        return self._members[text]

    @cached_property
    def _members(self) -> dict["Individual", Tensor]:
        return {}


@dataclass(frozen=True, eq=False)
class Individual:
    """Networks of a single text.

    Attributes
    ----------
    maps : Tensor of shape (L, N)
        Maps, their heavier tails positive.
    courses : Tensor of shape (T, L), float64
        Time courses.
    converged : bool or None
        True if the fit converged; None for a method without iterations.
    has_first_token : bool
        True if the first row is the text's first token.
    """

    maps: Tensor
    courses: Tensor
    converged: bool | None
    has_first_token: bool


def individual_networks(signals: Tensor, rows: Rows, method: Decomposition) -> list[Individual]:
    """Decompose each text separately.

    Raises
    ------
    MethodError
        If a text cannot be decomposed; the message gives its index.
    """
    individual = []
    texts = tqdm(rows.slices, desc="individual networks", unit=" text", leave=False)
    for place, of_text in enumerate(texts):
        try:
            individual.append(_decomposed(signals[of_text], rows, method))
        except MethodError as error:
            raise MethodError(
                f"text {place} of {len(rows.slices)}: {error}; or leave short texts out with "
                "analysis.dataset.min_tokens, or set analysis.n_components"
            ) from error
    return individual


def shifted_networks(
    signals: Tensor, rows: Rows, method: Decomposition, generator: torch.Generator
) -> list[Individual]:
    """Decompose each text after shifting every neuron circularly by its own random lag."""
    individual = []
    for of_text in tqdm(rows.slices, desc="networks of shifted signals", unit=" text", leave=False):
        text = signals[of_text]
        # to the left, as in the published counts
        with shifted(text, -random_lags(text, generator)):
            individual.append(_decomposed(text, rows, method))
    return individual


def _decomposed(text: Tensor, rows: Rows, method: Decomposition) -> Individual:
    fitted = method.fit(text)
    ended = [convergence.converged for convergence in fitted.convergence_]
    return Individual(fitted.maps_, fitted.time_courses_, all(ended) if ended else None, rows.skipped == 0)


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of the networks of n texts with K templates, text by text.

    A template without a partner, where there are more templates than networks, has 0 in all but ``count``.

    Attributes
    ----------
    count : array of shape (n, K)
        Number of networks of the text with an IoU above the minimum.
    iou : array of shape (n, K)
        IoU with the partner in the best one-to-one matching by IoU.
    specificity : array of shape (n, K)
        That IoU less the partner's mean IoU with the other templates.
    own_largest : array of shape (n, K)
        1 if the partner overlaps with no other template as much; shared among templates with the same IoU.
    correlation : array of shape (n, K), or None
        |r| of maps with the partner in the best one-to-one matching by |r|; None where there are only masks.
    recurring : array of shape (n,)
        Number of networks of the text that match at least one template; overlapping templates share matches.
    """

    count: Array
    iou: Array
    specificity: Array
    own_largest: Array
    correlation: Array | None
    recurring: Array

    def measures(self) -> dict[str, Array]:
        """Sum of counts and means of the others over texts, per template and of all, shape (K + 1,) each."""
        means = {"iou": self.iou, "specificity": self.specificity, "own_largest": self.own_largest}
        if self.correlation is not None:
            means["correlation"] = self.correlation
        return {
            "count": with_total(self.count.sum(axis=0)),
            **{name: with_mean(values.mean(axis=0)) for name, values in means.items()},
        }


def matches(templates: Templates, texts: Sequence[Individual]) -> Matches:
    """Match each text's networks with the templates."""
    overlaps, similarities = [], []
    for text in texts:
        overlap = intersection_over_union(templates.masks, templates.members_of(text)).numpy()
        overlaps.append(templates.with_best_sign(overlap))
        similarities.append(absolute_correlation(templates.networks.maps, text.maps).numpy())
    return matches_of(overlaps, templates.minimum_iou, similarities)


def matches_of(
    overlaps: Sequence[Array], minimum_iou: float, similarities: Sequence[Array] | None = None
) -> Matches:
    """Match by the IoU of templates and networks (K, L) of each text, and by the |r| of their maps."""
    count, iou, specificity, largest, recurring = [], [], [], [], []
    for overlap in overlaps:
        same = overlap > minimum_iou
        count.append(same.sum(axis=1).astype(np.float64))
        recurring.append(float(same.any(axis=0).sum()))
        partner = partners(overlap)
        own, others, first = _beside_other_templates(overlap, np.maximum(partner, 0))
        has_one = partner >= 0
        iou.append(np.where(has_one, own, 0.0))
        specificity.append(np.where(has_one, own - others, 0.0))
        largest.append(np.where(has_one, first, 0.0))
    correlation = None if similarities is None else np.array([matched(each) for each in similarities])
    return Matches(
        np.array(count),
        np.array(iou),
        np.array(specificity),
        np.array(largest),
        correlation,
        np.array(recurring),
    )


def _beside_other_templates(overlap: Array, partner: Indices) -> tuple[Array, Array, Array]:
    """IoU of partners with their template, mean IoU with the others, and whether the first is the largest."""
    columns = overlap[:, partner]
    own = columns.diagonal()
    others = (columns.sum(axis=0) - own) / max(1, len(columns) - 1)
    ties = (columns >= own).sum(axis=0)
    first = (own >= columns.max(axis=0)) / np.maximum(ties, 1)
    return own, others, first


def with_total(values: Array) -> Array:
    """Append the sum over templates to values (…, K)."""
    return np.concatenate([values, values.sum(axis=-1, keepdims=True)], axis=-1)


def with_mean(values: Array) -> Array:
    """Append the mean over templates to values (…, K)."""
    return np.concatenate([values, values.mean(axis=-1, keepdims=True)], axis=-1)
