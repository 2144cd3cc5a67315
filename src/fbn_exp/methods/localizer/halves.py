"""Agreement of halves of the texts about a contrast, and the effect of one half's members in the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.methods.localizer.welch import welch

# pairs of groups that are tested at once: their maps are all in memory
PAIRS_AT_ONCE = 20


@dataclass(frozen=True)
class Agreement:
    """Agreement of the halves of the texts about one contrast.

    Attributes
    ----------
    r : float
        Pearson's r over neurons between the t maps of the two halves, averaged over splits.
    chance : float
        95th percentile of r where the labels of the texts are permuted.
    p : float
        One-sided p of r among permutations, (1 + b) / (1 + R). Each takes a single split, which varies more
        than the mean over splits: the p is conservative.
    effect_size : float
        Cohen's d, of the neurons that are the most selective in one half of the texts, in the other half.
    """

    r: float
    chance: float
    p: float
    effect_size: float


def agreement(
    values: Tensor,
    positive: Tensor,
    labels: Tensor,
    splits: int,
    permutations: int,
    fraction: float,
    generator: torch.Generator,
) -> Agreement:
    """Compare a contrast between random halves of its texts.

    Parameters
    ----------
    values : Tensor of shape (n, N), float64
        Value of every neuron in every text of the contrast, centred over them.
    positive : Tensor of shape (n,), bool
        True for texts of the positive side.
    labels : Tensor of shape (n,), int64
        Condition of each text; halves take half of the texts of each.
    splits, permutations, fraction
        See ``LocalizerConfig``.
    generator : Generator
        Source of splits and permutations.
    """
    halves = torch.stack([_half(labels, generator) for _ in range(splits)])
    observed = _agreement_of(values, positive.expand(splits, -1), halves)
    shuffled = torch.stack(
        [positive[torch.randperm(len(positive), generator=generator)] for _ in range(permutations)]
    )
    null = _agreement_of(values, shuffled, torch.stack([_half(row.long(), generator) for row in shuffled]))
    r = float(observed.mean())
    return Agreement(
        r,
        float(null.quantile(0.95)),
        (1 + int((null >= r).sum())) / (1 + permutations),
        effect_size(values, positive, halves, fraction),
    )


def spearman_brown(r: float) -> float:
    """Agreement expected of maps of all texts, from that of halves (Spearman 1910; Brown 1910)."""
    return 2 * r / (1 + r) if r > 0 else r


def _half(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Random half of the texts of each label, shape (n,), bool."""
    half = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        texts = (labels == label).nonzero()[:, 0]
        half[texts[torch.randperm(len(texts), generator=generator)[: len(texts) // 2]]] = True
    return half


def _agreement_of(values: Tensor, positive: Tensor, halves: Tensor) -> Tensor:
    """Pearson's r over neurons between the t maps of two halves, for each row of (G, n) masks."""
    correlations = []
    for side, half in zip(positive.split(PAIRS_AT_ONCE), halves.split(PAIRS_AT_ONCE), strict=True):
        one, other = (welch(values, side & part, ~side & part).t for part in (half, ~half))
        one, other = (t - t.mean(dim=1, keepdim=True) for t in (one, other))
        size = (one.square().sum(dim=1) * other.square().sum(dim=1)).sqrt()
        correlations.append((one * other).sum(dim=1) / size.clamp_min(1e-300))
    return torch.cat(correlations)


def effect_size(values: Tensor, positive: Tensor, halves: Tensor, fraction: float) -> float:
    """Cohen's d of the members of one half of the texts in the other, averaged over splits and directions.

    Members are the share ``fraction`` of the neurons with the largest t of one half. A text of the other half
    has the mean over members of their values, each neuron in units of its standard deviation over texts.
    """
    count = max(1, round(fraction * values.shape[1]))
    deviation = values.square().mean(dim=0).sqrt()
    effects = []
    for half in torch.cat([halves, ~halves]):
        t = welch(values, (half & positive)[None], (half & ~positive)[None]).t[0]
        members = t.topk(count).indices
        response = (values[~half][:, members] / deviation[members].clamp_min(1e-300)).mean(dim=1)
        effects.append(cohens_d(response[positive[~half]], response[~positive[~half]]))
    return sum(effects) / len(effects)


def cohens_d(one: Tensor, other: Tensor) -> float:
    """Difference of two means in units of the pooled standard deviation (Cohen 1988); 0 if that is 0."""
    squares = (one - one.mean()).square().sum() + (other - other.mean()).square().sum()
    pooled = (squares / (len(one) + len(other) - 2)).sqrt()
    return float((one.mean() - other.mean()) / pooled) if pooled > 0 else 0.0
