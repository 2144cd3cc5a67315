"""A score among those of its controls: rank, difference from their mean, and what could have been seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from fbn_exp.benchmarks.inference.bootstrap import interval_ends, resampled_among_draws
from fbn_exp.benchmarks.inference.exact import ALPHA, POWER
from fbn_exp.benchmarks.inference.paired import Difference, difference
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.rows import Array


@dataclass(frozen=True)
class AmongDraws:
    """Score of the networks among R draws of a control.

    Attributes
    ----------
    n_draws : int
        Number of draws, R.
    p_value : float
        Two-sided: (1 + b) / (1 + R), where b draws lie as far from the median of score and draws. It has
        little power on the short side of skewed draws: a score below all of many lognormal draws can lie
        nearer to their median than a fifth of them. ``p_harm`` and ``p_gain`` see it.
    p_harm, p_gain : float
        One-sided: b is the number of draws that score as badly or worse, and as well or better.
    difference : float
        Score less the mean of the draws.
    ci_low, ci_high : float
        95% interval of that, over items and draws; NaN for fewer than two draws.
    effect_size : float
        Difference in standard deviations of the draws; NaN where they do not differ.
    detectable : float
        Smallest shift from the median of the draws, up or down, that ``p_value`` finds at .05 with a power
        of 80%, see ``rank_detectable``; infinite where R is below 19, since p cannot be that small.
    equivalent_within : float
        Smallest bound at which two one-sided tests at .05 say that score and mean of the draws are
        equivalent: the farther end of the 90% interval. Unlike p values, it is not about one more draw:
        a score among its draws is farther from their mean than any small bound.
    """

    n_draws: int
    p_value: float
    p_harm: float
    p_gain: float
    difference: float
    ci_low: float
    ci_high: float
    effect_size: float
    detectable: float
    equivalent_within: float

    @property
    def smallest_p(self) -> float:
        """Smallest p value that so many draws can give."""
        return 1 / (1 + self.n_draws)

    @property
    def is_harm(self) -> bool:
        """Whether fewer draws are as bad as the networks than are as good."""
        return self.p_harm < self.p_gain

    @property
    def p_side(self) -> float:
        """One-sided p value of the side on which the networks lie; the side is chosen after looking."""
        return min(self.p_harm, self.p_gain)


def among_draws(score: Score, draws: Sequence[Score], seed: int = 0) -> AmongDraws:
    """Compare a score with those of its controls over the same items.

    p values are exact where the networks are one more draw under the null hypothesis (Phipson & Smyth 2010,
    Statistical Applications in Genetics and Molecular Biology 9:39): the score and its draws are
    exchangeable, and the statistic treats them alike. They are about these items. The interval is about
    other items and other draws: both are resampled together, see ``resampled_among_draws``. For a metric
    without items, it comes from a normal distribution with the spread of the draws and the score's error.
    Where neither draws nor items differ, interval and detectable difference are those of a paired comparison.

    Parameters
    ----------
    score : Score
        Score under the intervention on the networks.
    draws : sequence of Score
        Scores under the same intervention on each draw of a control; at least one.
    seed : int
        Seed of the resampling.
    """
    values = np.array([draw.value for draw in draws])
    pool = np.array([score.value, *values])
    harm = -pool if score.higher_is_better else pool
    with np.errstate(invalid="ignore"):  # inf - inf
        mean = float(values.mean())
        spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        gap = score.value - mean
    low, low_90, high_90, high = _interval(score, draws, spread, seed)
    # draws that differ by rounding alone do not differ
    differ = spread > 1e-12 * float(np.abs(pool).max())
    if not differ and high - low <= 1e-12:
        return _nothing_differs(pool, harm, difference(score, draws[0], seed))
    return AmongDraws(
        n_draws=len(values),
        p_value=rank_p_value(_distances(pool)),
        p_harm=rank_p_value(harm),
        p_gain=rank_p_value(-harm),
        difference=gap,
        ci_low=low,
        ci_high=high,
        effect_size=gap / spread if differ else float("nan"),
        detectable=rank_detectable(values) if differ else float("nan"),
        equivalent_within=max(-low_90, high_90),
    )


def _nothing_differs(pool: Array, harm: Array, one: Difference) -> AmongDraws:
    """Result where neither draws nor items differ: what a single comparison can tell from these items."""
    return AmongDraws(
        n_draws=len(pool) - 1,
        p_value=rank_p_value(_distances(pool)),
        p_harm=rank_p_value(harm),
        p_gain=rank_p_value(-harm),
        difference=one.value,
        ci_low=one.ci_low,
        ci_high=one.ci_high,
        effect_size=float("nan"),
        detectable=one.detectable,
        equivalent_within=one.equivalent_within,
    )


def rank_p_value(statistics: Array) -> float:
    """Share of statistics that reach the first one, which is itself counted; NaN if any is NaN."""
    if np.isnan(statistics).any():
        return float("nan")
    first = float(statistics[0])
    # equal except for rounding counts as equal
    return float(np.mean(statistics >= (first - 1e-12 * abs(first) if np.isfinite(first) else first)))


def rank_detectable(values: Array, alpha: float = ALPHA, power: float = POWER) -> float:
    """Shift that the two-sided rank among draws finds with the given power, from quantiles of the draws.

    A score is found if it lies farther from the median than all but the few most distant draws that the
    level allows. One more draw that is shifted up passes that distance in 80% of cases if its lower 20%
    quantile does; shifted down, if its upper one does. The larger of the two shifts holds for both, whatever
    the shape of the distribution.

    Parameters
    ----------
    values : array of shape (R,)
        Finite scores of the draws.
    alpha, power : float
        Level of the test, and probability of finding the shift.

    Returns
    -------
    float
        Infinite if there are too few draws for the level.
    """
    # so many draws may lie as far away
    allowed = int(np.floor(alpha * (len(values) + 1) + 1e-9)) - 1
    if allowed < 0:
        return float("inf")
    low, middle, high = np.quantile(values, [1 - power, 0.5, power]).tolist()
    critical = float(np.sort(np.abs(values - middle))[-1 - allowed])
    return critical + max(middle - low, high - middle)


def _distances(pool: Array) -> Array:
    """Distance of each value from the median of all; infinite values lie at the same place."""
    middle = np.median(pool)
    with np.errstate(invalid="ignore"):
        distances: Array = np.where(pool == middle, 0.0, np.abs(pool - middle))
    return distances


def _interval(
    score: Score, draws: Sequence[Score], spread: float, seed: int
) -> tuple[float, float, float, float]:
    scores = [score, *draws]
    unknown = float("nan"), float("nan"), float("nan"), float("nan")
    if len(draws) < 2 or not np.isfinite([each.value for each in scores]).all():
        return unknown
    if any(each.items is None for each in scores):
        error = float(np.hypot(score.standard_error, spread / np.sqrt(len(draws))))
        centre = score.value - float(np.mean([draw.value for draw in draws]))
        ends = (centre + error * norm.ppf([ALPHA / 2, ALPHA, 1 - ALPHA, 1 - ALPHA / 2])).tolist()
        return ends[0], ends[1], ends[2], ends[3]
    finite = all(each.items is not None and bool(np.isfinite(each.items).all()) for each in scores)
    if min(map(len, score.groups)) < 2 or not finite:
        return unknown
    return interval_ends(resampled_among_draws(score, draws, seed))
