"""Rank correlations of time courses of two models, a score of their likeness, and its nulls."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from fbn_exp.core.rows import Array
from fbn_exp.networks.surrogates import upper_p_value

# of each text, tokens that both models end at the same character
Pairs = Sequence[tuple[Array, Array]]
LEAST_TOKENS = 8


class FingerprintNull(StrEnum):
    """What is left of the likeness of two models where something of it is destroyed.

    ``texts``: courses of other texts; ``shifts``: courses shifted circularly in each text; ``neurons``:
    random neurons in place of the other model's networks, as many in every block; ``rotations``: networks of
    a random rotation of its maps.
    """

    texts = "texts"
    shifts = "shifts"
    neurons = "neurons"
    rotations = "rotations"


@dataclass(frozen=True, eq=False)
class NullScores:
    """Scores under one null.

    Attributes
    ----------
    kind : FingerprintNull
        What was destroyed.
    scores : array of shape (draws,)
        Score of each draw.
    p_value : float
        Share of draws that reach the observed score, which counts as a draw.
    """

    kind: FingerprintNull
    scores: Array
    p_value: float

    @classmethod
    def of(cls, kind: FingerprintNull, scores: Array, observed: float) -> "NullScores":
        """Null scores with the p value of an observed score."""
        return cls(kind, scores, float(upper_p_value(np.array(observed), scores)))


def unit_ranks(courses: Array) -> Array:
    """Ranks over tokens of courses (tokens, M), centred, of norm 1: their products are Spearman's ρ."""
    ranks = rankdata(courses, axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.linalg.norm(ranks, axis=0)
    # a constant course correlates with nothing
    result: Array = np.where(norms > 0, ranks / np.where(norms > 0, norms, 1), 0.0)
    return result


def rank_correlations(pairs: Pairs) -> Array:
    """Spearman correlation of all pairs of courses, in each text: shape (texts, K, L)."""
    return np.stack([unit_ranks(own).T @ unit_ranks(other) for own, other in pairs])


def fingerprint_score(correlations: Array) -> float:
    """Mean |ρ| of the pairs of the best one-to-one matching of a matrix (K, L); it has min(K, L) pairs."""
    likeness = np.abs(correlations)
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return float(likeness[rows, columns].mean())


def scores_of_samples(correlations: Array, size: int) -> Array:
    """Score of each disjoint sample of ``size`` texts, in their order, of correlations (texts, K, L)."""
    count = len(correlations) // size
    parts = np.split(correlations[: count * size], count) if count else []
    return np.array([fingerprint_score(part.mean(axis=0)) for part in parts])


def bootstrap_scores(correlations: Sequence[Array], draws: int, seed: int) -> Array:
    """Scores of bootstrap samples of texts, the same texts for every model: shape (models, draws)."""
    rng = np.random.default_rng(seed)
    n_texts = len(correlations[0])
    drawn = rng.multinomial(n_texts, np.full(n_texts, 1 / n_texts), size=draws) / n_texts
    return np.array(
        [
            [fingerprint_score(np.tensordot(weights, each, axes=1)) for weights in drawn]
            for each in correlations
        ]
    )


def shuffled_scores(pairs: Pairs, draws: int, seed: int) -> Array:
    """Scores where every text of one model is compared with another text of the other model.

    Of two texts of different lengths, the beginning of the longer one is compared.
    """
    rng = np.random.default_rng(seed)
    scores = np.empty(draws)
    for draw in range(draws):
        order = rng.permutation(len(pairs))
        # in a random circle every text has another one next to it
        partners = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
        moved = []
        for index, (own, _) in enumerate(pairs):
            other = pairs[partners[index]][1]
            length = min(len(own), len(other))
            moved.append((own[:length], other[:length]))
        scores[draw] = fingerprint_score(rank_correlations(moved).mean(axis=0))
    return scores


def shifted_scores(pairs: Pairs, draws: int, seed: int) -> Array:
    """Scores where the courses of one model are shifted circularly, in each text by a lag of its own.

    All networks of a text are shifted together; a lag is at least a tenth of the text, and each course keeps
    its values and, but for one seam, their order.
    """
    rng = np.random.default_rng(seed)
    ranked = [(unit_ranks(own), unit_ranks(other)) for own, other in pairs]
    scores = np.empty(draws)
    for draw in range(draws):
        products = []
        for own, other in ranked:
            least = max(1, len(other) // 10)
            lag = int(rng.integers(least, len(other) - least + 1))
            products.append(own.T @ np.roll(other, lag, axis=0))
        scores[draw] = fingerprint_score(np.mean(products, axis=0))
    return scores
