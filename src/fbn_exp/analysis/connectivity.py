"""Connectivity of networks: correlation and partial correlation of their time courses within texts."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.covariance import ledoit_wolf
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import ConnectivityConfig
from fbn_exp.analysis.max_t import max_t
from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Array, Rows
from fbn_exp.datasets.base import TextDataset
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold

# with fewer tokens, too few degrees of freedom are left for a correlation
LEAST_TOKENS = 8
# atanh of a correlation of 1 is infinite
LARGEST = 1 - 1e-9


@dataclass(frozen=True, eq=False)
class Interval:
    """Averages over texts with intervals and p values, each a symmetric matrix (K, K).

    A pair that is defined in no text is NaN.

    Attributes
    ----------
    mean : array
        1 on the diagonal, like ``low`` and ``high``.
    low, high : array
        Simultaneous 95% intervals: all pairs together lie in theirs in 95 of 100 samples of texts.
    p_value : array
        Two-sided, with the family-wise error over all pairs controlled (max-T); NaN on the diagonal.
    """

    mean: Array
    low: Array
    high: Array
    p_value: Array


@dataclass(frozen=True, eq=False)
class Connectivity:
    """Correlation and partial correlation of networks.

    Attributes
    ----------
    correlation : Interval
        Pearson correlation of time courses within a text, averaged over texts by Fisher's z.
    partial : Interval
        Partial correlation given all other networks, from the precision matrix of the shrunk correlation
        of each text (Ledoit & Wolf 2004, towards the identity), averaged in the same way.
    order : tuple of int
        Networks in the order of a clustering: average linkage of 1 − correlation, optimal leaf order.
    n_texts : int
        Number of texts that were long enough.
    shrinkage : float
        Mean weight of the identity in the shrunk correlation of a text, from 0 to 1; it biases partial
        correlations towards 0.
    texts : str
        Source of the texts.
    fitted : bool or None
        True if the networks were fitted to these texts, None if that is unknown. Temporal ICA and PCA force
        a correlation of 0 over all tokens of the texts that they are fitted to.
    """

    correlation: Interval
    partial: Interval
    order: tuple[int, ...]
    n_texts: int
    shrinkage: float
    texts: str = ""
    fitted: bool | None = None


def connectivity(courses: Array, rows: Rows, seed: int = 0, draws: int = 1_000) -> Connectivity:
    """Correlation and partial correlation of networks within texts, averaged over texts.

    Correlations are computed within each text, so that differences between texts do not count as
    connectivity; intervals and p values come from flipping the signs of whole texts, since tokens of a text
    are not independent. Pairs are tested together, correlation and partial correlation each as a family.

    Parameters
    ----------
    courses : array of shape (T, K)
        Time courses of K networks over all tokens.
    rows : Rows
        Text of each token.
    seed : int
        Seed of the sign flips.
    draws : int
        Sign flips of the texts.

    Raises
    ------
    SignalError
        If shapes disagree, a value is not finite, or fewer than two texts have ``LEAST_TOKENS`` tokens.
    """
    if courses.ndim != 2 or len(courses) != len(rows):
        raise SignalError(
            f"time courses have shape {courses.shape} and texts {len(rows)} rows, need (T, K) and T"
        )
    if not np.isfinite(courses).all():
        raise SignalError("time courses hold a value that is not finite")
    parts = [
        part for part in (courses[rows_of_text] for rows_of_text in rows.slices) if len(part) >= LEAST_TOKENS
    ]
    if len(parts) < 2:
        raise SignalError(
            f"connectivity needs at least 2 texts of {LEAST_TOKENS} tokens or more, here are {len(parts)}: "
            "take more or longer texts"
        )
    full, partial, shrinkage = [], [], []
    for part in tqdm(parts, desc="connectivity", unit=" text", leave=False, delay=1):
        correlation = _correlation(part)
        conditional, weight = _partial_correlation(part, np.isnan(np.diag(correlation)))
        full.append(correlation)
        partial.append(conditional)
        shrinkage.append(weight)
    rng = np.random.default_rng(seed)
    correlation_over_texts = _average(np.stack(full), draws, rng)
    return Connectivity(
        correlation_over_texts,
        _average(np.stack(partial), draws, rng),
        cluster_order(correlation_over_texts.mean),
        len(parts),
        float(np.mean(shrinkage)),
    )


def _correlation(part: Array) -> Array:
    """Pearson correlation of columns (T, K); NaN where a column is constant."""
    centred = part - part.mean(axis=0)
    norm = np.sqrt(np.square(centred).sum(axis=0))
    # after centring, a constant column holds rounding errors only
    flat = norm <= 1e-12 * np.sqrt(np.square(part).sum(axis=0))
    scaled = centred / np.where(flat, 1.0, norm)
    correlation: Array = np.clip(scaled.T @ scaled, -1, 1)
    correlation[flat] = correlation[:, flat] = np.nan
    return correlation


def _partial_correlation(part: Array, flat: NDArray[np.bool_]) -> tuple[Array, float]:
    """Partial correlation of columns given all others, and the weight of the identity; NaN where flat."""
    kept = part[:, ~flat]
    partial = np.full((part.shape[1],) * 2, np.nan)
    if kept.shape[1] == 0:
        return partial, 0.0
    standardised = (kept - kept.mean(axis=0)) / kept.std(axis=0)
    shrunk, weight = ledoit_wolf(standardised, assume_centered=True)
    precision = np.linalg.pinv(shrunk, hermitian=True)
    scale = np.sqrt(np.diag(precision))
    inside = -precision / np.outer(scale, scale)
    np.fill_diagonal(inside, 1.0)
    partial[np.ix_(~flat, ~flat)] = inside
    return partial, float(weight)


def _average(per_text: Array, draws: int, rng: np.random.Generator) -> Interval:
    """Fisher-z mean over texts of (texts, K, K), all pairs tested together."""
    n_networks = per_text.shape[1]
    rows, columns = np.triu_indices(n_networks, k=1)
    tested = max_t(np.arctanh(np.clip(per_text[:, rows, columns], -LARGEST, LARGEST)), draws, rng)
    matrices = []
    for values, diagonal in (
        (np.tanh(tested.mean), 1.0),
        (np.tanh(tested.low), 1.0),
        (np.tanh(tested.high), 1.0),
        (tested.p_value, np.nan),
    ):
        matrix = np.full((n_networks, n_networks), diagonal)
        matrix[rows, columns] = matrix[columns, rows] = values
        matrices.append(matrix)
    return Interval(*matrices)


def cluster_order(correlation: Array) -> tuple[int, ...]:
    """Order of networks by clustering of their correlation (K, K), similar networks side by side."""
    if len(correlation) < 3:
        return tuple(range(len(correlation)))
    distance = 1 - np.nan_to_num(correlation)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return tuple(int(leaf) for leaf in leaves_list(tree))


class ConnectivityOfNetworks(ConnectivityConfig, TextAnalysis):
    """Correlation and partial correlation of the networks' time courses within texts.

    Texts that the networks were fitted to are refused where they are known: temporal ICA makes its time
    courses uncorrelated there, so that their correlation says nothing.
    """

    dataset: TextDataset
    families = ("connectivity", "network")

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Connectivity:
        assert recording is not None
        with recording.recorded(self.texts) as signals:
            courses = least_squares_courses(signals.values, networks.maps).cpu().numpy()
            result = connectivity(courses, signals.rows, self.seed, self.draws)
        digests = networks.provenance.get("text_digests")
        fitted = None if digests is None else not self.text_digests().isdisjoint(digests)
        return replace(result, texts=self.dataset.describe(), fitted=fitted)
