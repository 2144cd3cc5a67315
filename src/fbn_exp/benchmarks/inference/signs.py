"""Sign-flip test of paired differences."""

import itertools

import numpy as np

from fbn_exp.benchmarks.inference.exact import mcnemar_p_value
from fbn_exp.core.rows import Array

# up to this many differing items, all signs are tried; beyond it, FLIPS random ones
EXACT_FLIPS = 13
FLIPS = 9_999
# largest number of signs drawn at once
CHUNK = 1_000_000


def sign_flip_p_value(differences: Array, seed: int = 0) -> float:
    """Two-sided p value of paired differences, by sign flips (Fisher 1935).

    Where all items that differ do so by as much, as where they are right or wrong, this is McNemar's exact
    test. Else all signs are tried where at most ``EXACT_FLIPS`` items differ; or the observed signs and
    ``FLIPS`` random ones (Phipson & Smyth 2010).

    Parameters
    ----------
    differences : array of shape (n,)
        Difference of each item; a value that is not finite gives NaN.
    seed : int
        Seed of the random signs.
    """
    changed = differences[differences != 0]
    if not np.isfinite(changed).all():
        return float("nan")
    sizes = np.abs(changed)
    if len(changed) == 0 or np.ptp(sizes) <= 1e-9 * sizes.max():
        return mcnemar_p_value(int((changed > 0).sum()), int((changed < 0).sum()))
    # sums that are equal except for rounding count as equal
    observed = np.abs(changed.sum()) - 1e-9 * sizes.sum()
    if len(changed) <= EXACT_FLIPS:
        signs = np.array(list(itertools.product((1, -1), repeat=len(changed))))
        return float((np.abs(signs @ changed) >= observed).mean())
    rng = np.random.default_rng(seed)
    as_far = 1
    for chunk in np.array_split(np.arange(FLIPS), max(1, FLIPS * len(changed) // CHUNK)):
        signs = rng.choice(np.array([1, -1], dtype=np.int8), size=(len(chunk), len(changed)))
        as_far += int((np.abs(signs @ changed) >= observed).sum())
    return as_far / (FLIPS + 1)
