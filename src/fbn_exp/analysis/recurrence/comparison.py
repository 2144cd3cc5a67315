"""Comparison of recurrence with a chance level: expectation, p value, effect size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fbn_exp.analysis.recurrence.matches import Matches, with_mean, with_total
from fbn_exp.core.rows import Array
from fbn_exp.networks.surrogates import swap_p_value, upper_p_value


@dataclass(frozen=True, eq=False)
class NullComparison:
    """Chance level, p value and effect size per template; the last entry is for all templates together.

    Attributes
    ----------
    expected, upper : array of shape (K + 1,)
        Mean and 95th percentile under the null.
    p_value : array of shape (K + 1,)
        One-sided: probability of a value at least as large under the null.
    effect : array of shape (K + 1,)
        Standardised effect size (Gotelli & McCabe 2002): the value less ``expected``, in standard deviations
        of the null. Unlike p it has no smallest value. NaN where the null does not vary.
    ratio : array of shape (K + 1,)
        Value over ``expected``; NaN where that is 0.
    """

    expected: Array
    upper: Array
    p_value: Array
    effect: Array
    ratio: Array

    @classmethod
    def of(cls, observed: Array, drawn: Array, p_value: Array) -> "NullComparison":
        """Compare values (K + 1,) with null draws (D, K + 1) of them."""
        expected, spread = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
        varies = spread > 1e-9 * np.maximum(np.abs(expected), 1e-9)
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = np.where(varies, (observed - expected) / spread, np.nan)
            ratio = np.where(expected != 0, observed / expected, np.nan)
        return cls(expected, np.quantile(drawn, 0.95, axis=0), p_value, effect, ratio)


def compared_with_draws(observed: Array, drawn: Array) -> NullComparison:
    """Compare values (K + 1,) with null draws (D, K + 1) of them."""
    return NullComparison.of(observed, drawn, upper_p_value(observed, drawn))


def compared_with_texts(
    observed: Array, null: Array, mean: bool, draws: int, rng: np.random.Generator
) -> NullComparison:
    """Compare values of texts (n, K + 1) with one null value per text, as sums or means over texts.

    The distribution under the null is over resampled texts; the p value is that of a paired permutation test.
    """
    n = len(null)
    scale = 1 / n if mean else 1.0
    resampled = scale * rng.multinomial(n, np.full(n, 1 / n), size=draws) @ null
    p_value = swap_p_value(observed, null, draws, rng)
    return NullComparison.of(scale * observed.sum(axis=0), resampled, p_value)


def compare(
    observed: Matches,
    drawn: Mapping[str, Sequence[Matches]],
    paired: Mapping[str, Matches],
    draws: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, NullComparison]]:
    """Compare each measure of ``Matches.measures`` with every null that has it.

    Parameters
    ----------
    observed : Matches
        Matches of the texts' networks.
    drawn : mapping of str to sequence of Matches
        Nulls of which there are many draws.
    paired : mapping of str to Matches
        Nulls with one draw, compared text by text.
    draws : int
        Random swaps and resamples of texts.
    rng : Generator
        Source of these.

    Returns
    -------
    dict of str to dict of str to NullComparison
        By measure, then by null.
    """
    found: dict[str, dict[str, NullComparison]] = {name: {} for name in observed.measures()}
    for null, draws_of_null in drawn.items():
        measures = [each.measures() for each in draws_of_null]
        for name in measures[0]:
            values = np.stack([each[name] for each in measures])
            found[name][null] = compared_with_draws(observed.measures()[name], values)
    for null, other in paired.items():
        for name, (values, beside) in _by_text(observed, other).items():
            found[name][null] = compared_with_texts(values, beside, name != "count", draws, rng)
    return found


def _by_text(observed: Matches, null: Matches) -> dict[str, tuple[Array, Array]]:
    """Each measure of every text (n, K + 1), and its counterpart under the null."""
    pairs = {"count": (with_total(observed.count), with_total(null.count))}
    for name in observed.measures():
        if name != "count":
            pairs[name] = (with_mean(getattr(observed, name)), with_mean(getattr(null, name)))
    return pairs
