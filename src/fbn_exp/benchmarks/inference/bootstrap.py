"""Bootstrap over items, within their strata, and over items and draws of controls together."""

from collections.abc import Sequence

import numpy as np

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.rows import Array

BOOTSTRAPS = 2_000
# resamples of items and draws together; every one is a mean over all of both
DRAW_BOOTSTRAPS = 1_000
# largest number of multiplicities of items held at once
CHUNK = 4_000_000
# ends of the 95% and of the 90% interval
ENDS = (0.025, 0.05, 0.95, 0.975)


def resampled_differences(score: Score, baseline: Score, seed: int) -> Array:
    """Differences of two scores over items drawn with replacement, the same items for both, shape (B,).

    Items are drawn within strata. Weights may differ between the two: an item can be undecided under a
    lesion, and decided without it. NaN where the drawn items of a stratum all have weight 0.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for size in _chunks(BOOTSTRAPS, score.n):
        counts = _multiplicities(score, size, rng)
        means = _means([score, baseline], counts)
        differences.append(means[:, 0] - means[:, 1])
    return np.concatenate(differences)


def resampled_among_draws(score: Score, draws: Sequence[Score], seed: int) -> Array:
    """Score less the mean of its controls, over items and draws resampled together, shape (B,).

    Items and draws are crossed, each a factor of its own (the pigeonhole bootstrap of Owen 2007, Annals of
    Applied Statistics 1:386): a resample takes n items with replacement for the score and all draws, and
    R - 1 of the R draws with replacement, so that the variance over few draws is not too small (Rao & Wu
    1988, JASA 83:231).
    """
    rng = np.random.default_rng(seed)
    n_draws = len(draws)
    differences = []
    for size in _chunks(DRAW_BOOTSTRAPS, score.n):
        means = _means([score, *draws], _multiplicities(score, size, rng))
        times = rng.multinomial(n_draws - 1, np.full(n_draws, 1 / n_draws), size=size)
        # a draw that is not chosen must not spoil the mean, also where it is NaN
        chosen = np.where(times > 0, times * means[:, 1:], 0.0).sum(axis=1)
        differences.append(means[:, 0] - chosen / (n_draws - 1))
    return np.concatenate(differences)


def interval_ends(resamples: Array) -> tuple[float, float, float, float]:
    """Ends of the 95% and the 90% percentile interval: 2.5%, 5%, 95%, 97.5%."""
    low, low_90, high_90, high = np.quantile(resamples, ENDS).tolist()
    return low, low_90, high_90, high


def _chunks(total: int, n_items: int) -> list[int]:
    parts = np.array_split(np.arange(total), max(1, total * n_items // CHUNK))
    return [len(part) for part in parts if len(part)]


def _multiplicities(score: Score, size: int, rng: np.random.Generator) -> Array:
    """How often each item is drawn in each of several resamples, shape (size, n)."""
    counts = np.zeros((size, score.n))
    for group in score.groups:
        drawn = rng.integers(len(group), size=(size, len(group)))
        flat = (drawn + len(group) * np.arange(size)[:, None]).ravel()
        counts[:, group] = np.bincount(flat, minlength=size * len(group)).reshape(size, len(group))
    return counts


def _means(scores: Sequence[Score], counts: Array) -> Array:
    """Value of each score on resampled items, shape (resamples, scores).

    Strata keep the share that they have in the value; one without any weight has none.
    """
    weights = np.stack([score.used_weights() for score in scores])
    items = np.stack([score.items for score in scores if score.items is not None])
    # an item of weight 0 does not count, whatever its value
    parts = np.where(weights > 0, weights * items, 0.0)
    means = np.zeros((len(counts), len(scores)))
    for group in scores[0].groups:
        share = weights[:, group].sum(axis=1) / weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (counts[:, group] @ parts[:, group].T) / (counts[:, group] @ weights[:, group].T)
        means += np.where(share > 0, share * mean, 0.0)
    return means
