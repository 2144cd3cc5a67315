"""Mixture of a normal and a gamma on either side, fitted to many maps at once by expectation-maximisation."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# bins of equal width in asinh(score): 0.03 wide near 0, 3% far out
BIN = 0.03
FARTHEST = 15.0  # asinh of a score of 1.6 million
HALF = round(FARTHEST / BIN)
# a gamma's mode lies this far out at least, in standard deviations: it describes a tail, not the bulk
NEAREST_MODE = 2.0
# a gamma is at least this wide, relative to its mean: it describes no cluster of equal values
LARGEST_SHAPE = 100.0
SMALLEST_VARIANCE = 0.01
# weights beyond this many standard deviations start in a tail
START = 2.5
MOST_STEPS, CHANGE = 500, 1e-3
HALVINGS = 26
# models that are compared: without tails, one, the other, both
TAILS = ((False, False), (True, False), (False, True), (True, True))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Parameters of R mixtures; a tail that a mixture lacks has proportion 0.

    Attributes
    ----------
    proportions : Tensor of shape (3, R)
        Of the normal, the positive and the negative gamma.
    mean, variance : Tensor of shape (R,)
        Of the normal.
    shape, scale : Tensor of shape (2, R)
        Of the positive gamma, and of the negative one, which is the gamma of the negated scores.
    """

    proportions: Tensor
    mean: Tensor
    variance: Tensor
    shape: Tensor
    scale: Tensor

    def log_densities(self, scores: Tensor) -> Tensor:
        """Logarithm of proportion times density at scores (R, B) of each component, shape (3, R, B)."""
        normal = -0.5 * (
            (scores - self.mean[:, None]) ** 2 / self.variance[:, None]
            + (2 * math.pi * self.variance[:, None]).log()
        )
        sides = [self._log_gamma(scores, 0), self._log_gamma(-scores, 1)]
        return torch.stack([normal, *sides]) + self.proportions.log()[:, :, None]

    def _log_gamma(self, x: Tensor, side: int) -> Tensor:
        shape, scale = self.shape[side][:, None], self.scale[side][:, None]
        inside = x > 0
        safe = torch.where(inside, x, 1.0)
        density = (shape - 1) * safe.log() - safe / scale - torch.lgamma(shape) - shape * scale.log()
        return torch.where(inside, density, -math.inf)

    def of(self, rows: Tensor) -> "Mixture":
        """Return the mixtures at given places."""
        return Mixture(
            self.proportions[:, rows],
            self.mean[rows],
            self.variance[rows],
            self.shape[:, rows],
            self.scale[:, rows],
        )

    def put(self, rows: Tensor, other: "Mixture") -> None:
        """Overwrite the mixtures at given places."""
        self.proportions[:, rows] = other.proportions
        self.mean[rows] = other.mean
        self.variance[rows] = other.variance
        self.shape[:, rows] = other.shape
        self.scale[:, rows] = other.scale


@dataclass(frozen=True, eq=False)
class Binned:
    """Scores in bins: number and mean of those in each bin, (R, B) each; an empty bin has the mean 1."""

    count: Tensor
    mean: Tensor

    def of(self, rows: Tensor) -> "Binned":
        """Return the rows at given places."""
        return Binned(self.count[rows], self.mean[rows])


def binned(scores: Tensor, counts: Tensor) -> Binned:
    """Bin those finite scores (R, N) that count: few numbers stand for any number of neurons."""
    distance = (torch.asinh(scores.abs()) / BIN).long().clamp_max(HALF - 1)
    place = torch.where(scores < 0, HALF - 1 - distance, HALF + distance)
    place += 2 * HALF * torch.arange(len(scores))[:, None]
    size = 2 * HALF * len(scores)
    count = torch.bincount(place.flatten(), counts.double().flatten(), size)
    total = torch.bincount(place.flatten(), (scores * counts).flatten(), size)
    count, total = count.reshape(len(scores), -1), total.reshape(len(scores), -1)
    used = (count > 0).any(dim=0)
    count, total = count[:, used], total[:, used]
    return Binned(count, torch.where(count > 0, total / count.clamp_min(1), 1.0))


def fitted(data: Binned) -> Mixture:
    """Mixture of each row with the tails that exist, by the Bayesian information criterion (Schwarz 1978)."""
    n_rows = len(data.count)
    tails = torch.tensor(TAILS).repeat_interleave(n_rows, dim=0)
    every = torch.arange(n_rows).repeat(len(TAILS))
    mixture, likelihood = _maximised(data.of(every), tails.T)
    parameters = 2 + 3 * tails.sum(dim=1)
    size = data.count.sum(dim=1).clamp_min(1)[every]
    criterion = parameters * size.log() - 2 * likelihood
    best = criterion.reshape(len(TAILS), n_rows).argmin(dim=0)
    return mixture.of(best * n_rows + torch.arange(n_rows))


def _maximised(data: Binned, tails: Tensor) -> tuple[Mixture, Tensor]:
    """Maximise the likelihood of every row, with the tails that it may have, (2, R); stop row by row."""
    mixture = _step(data, _start(data, tails), tails)
    likelihood = torch.full((len(data.count),), -math.inf, dtype=torch.float64)
    going = torch.arange(len(data.count))
    for _ in range(MOST_STEPS):
        part = data.of(going)
        densities = mixture.of(going).log_densities(part.mean)
        together = densities.logsumexp(dim=0)
        reached = (part.count * together).sum(dim=1)
        improved = reached - likelihood[going] > CHANGE
        likelihood[going] = reached
        responsibilities = (densities - together).exp()[:, improved]
        going = going[improved]
        if not len(going):
            break
        mixture.put(going, _step(data.of(going), responsibilities, tails[:, going]))
    return mixture, likelihood


def _start(data: Binned, tails: Tensor) -> Tensor:
    """Responsibilities (3, R, B) to start from: what is far out belongs to a tail, if there may be one."""
    positive = (data.mean > START) & tails[0, :, None]
    negative = (data.mean < -START) & tails[1, :, None]
    return torch.stack([~(positive | negative), positive, negative]).double()


def _step(data: Binned, responsibilities: Tensor, tails: Tensor) -> Mixture:
    """Parameters of largest expected likelihood, given the responsibilities (3, R, B)."""
    weight = responsibilities * data.count
    total = weight.sum(dim=2)
    bulk = total[0].clamp_min(1e-9)
    mean = (weight[0] * data.mean).sum(dim=1) / bulk
    variance = (weight[0] * (data.mean - mean[:, None]) ** 2).sum(dim=1) / bulk
    x = data.mean.abs()
    held = total[1:].clamp_min(1e-9)
    first = ((weight[1:] * x).sum(dim=2) / held).clamp_min(NEAREST_MODE)
    logarithm = (weight[1:] * x.log()).sum(dim=2) / held
    # a tail that holds nothing
    empty = (total[1:] <= 1e-6) | ~tails
    first, logarithm = torch.where(empty, 4.0, first), torch.where(empty, math.log(3.9), logarithm)
    proportions = total / data.count.sum(dim=1).clamp_min(1e-9)
    return Mixture(proportions, mean, variance.clamp_min(SMALLEST_VARIANCE), *gamma_of(first, logarithm))


def gamma_of(mean: Tensor, mean_log: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and scale of largest likelihood among gammas with a mode of at least ``NEAREST_MODE``.

    Inside, log(a) − ψ(a) = log(mean) − mean_log. On the border the scale is mode / (a − 1), and
    log(a − 1) − ψ(a) + a / (a − 1) = log(mode) + mean / mode − mean_log. Both left sides fall with a.
    """
    borders = torch.stack([torch.zeros_like(mean), torch.ones_like(mean)])
    targets = torch.stack([mean.log(), math.log(NEAREST_MODE) + mean / NEAREST_MODE]) - mean_log
    low = torch.full_like(targets, math.log(1e-6))
    high = torch.full_like(targets, math.log(LARGEST_SHAPE - 1))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        less = middle.exp()  # shape minus 1
        value = torch.where(borders > 0, middle + 1 + 1 / less, less.log1p()) - torch.digamma(1 + less)
        low, high = torch.where(value > targets, middle, low), torch.where(value > targets, high, middle)
    free, border = ((low + high) / 2).exp()
    scale = mean / (1 + free)
    near = free * scale < NEAREST_MODE
    return 1 + torch.where(near, border, free), torch.where(near, NEAREST_MODE / border, scale)
