"""Threshold by a mixture of a normal and two gammas, which also says whether a map has tails at all."""

import math

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.base import Tails, Threshold
from fbn_exp.thresholds.config import MixtureThresholdConfig, Pole
from fbn_exp.thresholds.gamma_mixture import BIN, FARTHEST, HALVINGS, Mixture, binned, fitted
from fbn_exp.thresholds.null import by_rows, null_scores


class MixtureThreshold(MixtureThresholdConfig, Threshold):
    """Members belong to the tails of a normal and two gammas, if the map has tails.

    The inference of MELODIC (Beckmann & Smith 2004, IEEE TMI 23:137; Woolrich et al. 2005, IEEE TMI 24:1): a
    normal for the neurons outside the network, a gamma for those far above it and one for those far below,
    fitted to each map by expectation-maximisation. As in FSL's spatial mixtures, a gamma's mode is kept off
    the bulk, here by two standard deviations. Three things differ: scores are those of ``null_scores``,
    standardised in each block, so that blocks of different scale make no tails; models without a tail compete
    by the Bayesian information criterion, so that noise has none; and beyond the first score that belongs to
    a tail every score does.

    Weights of exactly 0 are no members and do not count. In a sparse map, whose bulk has no spread, every
    other weight belongs to a tail.

    Examples
    --------
    >>> networks.masks(fbn.MixtureThreshold()).sum(dim=1)
    >>> networks.tails(fbn.MixtureThreshold()).negative > 0
    """

    @override
    def masks(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        return by_rows(lambda rows: self._members(rows, layout), maps)

    @override
    def tails(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tails:
        shares = by_rows(lambda rows: _fit(null_scores(rows, layout), rows).proportions[1:].T, maps)
        return Tails(shares[:, 0], shares[:, 1])

    def _members(self, weights: Tensor, layout: NeuronLayout | None) -> Tensor:
        scores = null_scores(weights, layout)
        above, below = _cuts(_fit(scores, weights), self.posterior)[:, :, None]
        present = weights != 0
        match self.pole:
            case Pole.positive:
                return (scores > above) & present
            case Pole.negative:
                return (-scores > below) & present
            case Pole.both:
                return ((scores > above) | (-scores > below)) & present

    @override
    def describe(self) -> str:
        return f"mixture, posterior > {self.posterior:g}, {self._sides()}"


def _fit(scores: Tensor, weights: Tensor) -> Mixture:
    """Fit the weights (R, N) that are not 0; where the bulk has no spread, what differs from it is a tail."""
    endless = scores.isinf()
    sparse = endless.any(dim=1)
    counts = (weights != 0) & ~sparse[:, None]
    mixture = fitted(binned(torch.where(endless, 0.0, scores), counts))
    if sparse.any():
        sides = torch.stack([scores > 0, scores < 0])[:, sparse].double().mean(dim=2)
        mixture.proportions[:, sparse] = torch.cat([1 - sides.sum(dim=0, keepdim=True), sides])
        mixture.variance[sparse] = 0.0
    return mixture


def _cuts(mixture: Mixture, posterior: float) -> Tensor:
    """Distances from 0 beyond which a score belongs to the positive and the negative tail, (2, R)."""
    grid = torch.sinh(torch.arange(0, FARTHEST, BIN, dtype=torch.float64)).repeat(len(mixture.mean), 1)
    return torch.stack([_cut(mixture, posterior, side, grid) for side in (0, 1)])


def _cut(mixture: Mixture, posterior: float, side: int, grid: Tensor) -> Tensor:
    sign = 1 - 2 * side

    def exceeded(distance: Tensor) -> Tensor:
        densities = mixture.log_densities(sign * distance)
        return densities[1 + side] - densities.logsumexp(dim=0) > math.log(posterior)

    beyond = exceeded(grid)
    first = beyond.int().argmax(dim=1, keepdim=True)
    high, low = grid.gather(1, first), grid.gather(1, (first - 1).clamp_min(0))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        there = exceeded(middle)
        low, high = torch.where(there, low, middle), torch.where(there, middle, high)
    cut = torch.where(beyond.any(dim=1), high[:, 0], math.inf)
    # without a spread, all but the bulk is in a tail
    return torch.where(mixture.variance == 0, 0.0, cut)
