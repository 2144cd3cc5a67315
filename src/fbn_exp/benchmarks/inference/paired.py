"""Difference between two runs over the same items: interval, p value, and what could have been seen."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from fbn_exp.benchmarks.inference.bootstrap import interval_ends, resampled_differences
from fbn_exp.benchmarks.inference.exact import (
    ALPHA,
    POWER,
    mcnemar_detectable,
    mcnemar_p_value,
    score_interval,
)
from fbn_exp.benchmarks.inference.signs import sign_flip_p_value
from fbn_exp.benchmarks.score import Score, standard_error
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.rows import Array


@dataclass(frozen=True)
class Difference:
    """Score minus baseline.

    Attributes
    ----------
    value : float
        Difference.
    ci_low, ci_high : float
        95% interval.
    p_value : float
        Two-sided p value of no difference; NaN where nothing is tested.
    detectable : float
        Smallest true difference that a two-sided test at .05 finds with a power of 80% (minimum detectable
        effect), from the spread that was seen; infinite where no difference could be found.
    equivalent_within : float
        Smallest bound b at which two one-sided tests at .05 say that the difference lies in -b … b
        (Schuirmann 1987): the farther end of the 90% interval.
    """

    value: float
    ci_low: float
    ci_high: float
    p_value: float
    detectable: float = float("nan")
    equivalent_within: float = float("nan")


def difference(score: Score, baseline: Score, seed: int = 0) -> Difference:
    """Compare two scores over the same items.

    - Items that are right or wrong, of equal weight: McNemar's exact test, and Tango's score interval.
    - Other items: sign flips, and a percentile bootstrap over items, within strata (Efron & Tibshirani 1993,
      chapter 13). The test is more conservative than the interval where few items differ. Where no item
      differs, the bootstrap knows no width. Then at most 1 - .025^(1/n) of all items differ, with 97.5%
      confidence; the interval takes each of them to move by the whole range of the items seen, as wrong to
      right. How far an item moves that was not seen is an assumption, the share is not.
    - Metrics without items: normal distribution with independent standard errors, conservative for paired
      runs.

    A single item, a stratum of one, or an item that is not finite, gives NaN.

    Raises
    ------
    BenchmarkError
        If the two are not over the same items.
    """
    value = score.value - baseline.value
    if score.name != baseline.name or score.n != baseline.n:
        raise BenchmarkError(
            f"{score.name} over {score.n} items cannot be paired with {baseline.name} over {baseline.n}"
        )
    if score.items is None or baseline.items is None:
        return _independent(value, float(np.hypot(score.standard_error, baseline.standard_error)))
    if (
        min(map(len, score.groups)) < 2
        or not (np.isfinite(score.items) & np.isfinite(baseline.items)).all()
        or not np.isfinite(value)
    ):
        return Difference(value, *[float("nan")] * 3)
    if right_or_wrong(score, baseline):
        return _exact(score.items - baseline.items)
    if np.array_equal(score.items, baseline.items) and np.array_equal(
        score.used_weights(), baseline.used_weights()
    ):
        return _nothing_differs(score)
    low, low_90, high_90, high = interval_ends(resampled_differences(score, baseline, seed))
    p_value = sign_flip_p_value(_contributions(score) - _contributions(baseline), seed)
    error = standard_error(score.influence() - baseline.influence(), score.groups)
    quantiles = t.ppf([1 - ALPHA / 2, POWER], score.n - len(score.groups))
    # n signs give no p below 2 / 2^n
    detectable = float(quantiles.sum() * error) if 2.0 ** (1 - score.n) <= ALPHA else float("inf")
    return Difference(value, low, high, p_value, detectable, max(-low_90, high_90))


def right_or_wrong(*scores: Score) -> bool:
    """Return True for scores of equal weights whose items are all 0 or 1.

    A distance from the untouched model is none, even where all of its items are 0 since nothing was changed.
    """
    return all(
        score.items is not None
        and not score.from_untouched
        and score.strata is None
        and bool(np.isin(score.items, (0.0, 1.0)).all())
        and float(np.ptp(score.used_weights())) == 0
        for score in scores
    )


def _exact(change: Array) -> Difference:
    """Difference of items that are right or wrong; entries of ``change`` are -1, 0 or 1."""
    n, gained, lost = len(change), int((change > 0).sum()), int((change < 0).sum())
    low, high = score_interval(gained, lost, n)
    low_90, high_90 = score_interval(gained, lost, n, 1 - 2 * ALPHA)
    # items that change both ways would do so without any effect
    detectable = mcnemar_detectable(2 * min(gained, lost) / n, n)
    p_value = mcnemar_p_value(gained, lost)
    return Difference((gained - lost) / n, low, high, p_value, detectable, max(-low_90, high_90))


def _independent(value: float, error: float) -> Difference:
    """Difference of independent scores with normal errors."""
    half, half_90 = (float(norm.isf(tail)) * error for tail in (ALPHA / 2, ALPHA))
    p_value = float(2 * norm.sf(abs(value) / error)) if error > 0 else float(value == 0)
    detectable = half + float(norm.ppf(POWER)) * error
    return Difference(value, value - half, value + half, p_value, detectable, abs(value) + half_90)


def _nothing_differs(score: Score) -> Difference:
    """Difference of two scores none of whose items differ: 0, as far as so few items can tell."""
    assert score.items is not None
    span, weights = float(np.ptp(score.items)), score.used_weights()
    shares = [weights[group].sum() / weights.sum() for group in score.groups]
    sizes = [len(group) for group in score.groups]

    def bound(tail: float) -> float:
        parts = [share * (1 - tail ** (1 / size)) for share, size in zip(shares, sizes, strict=True)]
        return span * float(sum(parts))

    if span == 0:
        # items that are all equal say nothing of how far another could move
        unknown = float("nan")
        return Difference(0.0, unknown, unknown, 1.0, float("inf"), unknown)
    lost = sum(share * mcnemar_detectable(0.0, size) for share, size in zip(shares, sizes, strict=True))
    half = bound(ALPHA / 2)
    return Difference(0.0, -half, half, 1.0, float(lost * span), bound(ALPHA))


def _contributions(score: Score) -> Array:
    """Contribution of each item to the (weighted) mean; 0 for an item of weight 0."""
    assert score.items is not None
    weights = score.used_weights()
    with np.errstate(invalid="ignore"):
        return weights * score.items / weights.sum()
