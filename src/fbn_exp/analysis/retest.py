"""Dual regression of group networks onto single texts, and their test-retest reliability there.

The two regressions of Beckmann et al. (2009), Group comparison of resting-state FMRI data using multi-subject
ICA and dual regression: maps give time courses, time courses give maps of the text.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.analysis.intraclass import Strengths, strengths
from fbn_exp.analysis.max_t import max_t
from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Array, Indices, Rows
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.networks.matching import partners

# networks whose maps of all halves are in memory at once
CHUNK_NETWORKS = 8
# with fewer texts an intraclass correlation is meaningless
LEAST_TEXTS = 3
# a text's first token is an attention sink, which only its first half would hold
FIRST_POSITION = 1
# other texts whose maps each text's maps are compared with, network by network
OTHER_TEXTS = 5


def temporal_weights(courses: Tensor) -> Tensor:
    """Weights of tokens in the temporal regression: maps (K, N) are the weights (K, T) times the signals.

    Parameters
    ----------
    courses : Tensor of shape (T, K), float64
        Centred time courses of a text, with T > K + 1; they are scaled to unit variance.

    Returns
    -------
    Tensor of shape (K, T), float32
        Rows sum to zero, so that the signals need no centring.
    """
    scaled = courses / courses.square().mean(dim=0).sqrt().clamp_min(1e-300)
    return torch.linalg.pinv(scaled).float()


@dataclass(frozen=True, eq=False)
class Retest:
    """Test-retest reliability of group networks over the two halves of texts; arrays have shape (K,).

    Halves of a text share its content, so that each measure stands beside the same of first halves with the
    second halves of other texts: of those that are most alike in content, and of any.

    Attributes
    ----------
    strengths : Strengths
        Agreement of the networks' strengths.
    own_similarity, content_similarity, other_similarity : array
        Mean |r| of the map of a half with that of the other half of the same text, of the text most alike in
        content, and of all other texts.
    beyond_content : array
        P value of own against content similarity, family-wise over networks (max-T over texts).
    text_identification : array
        Share of halves whose most similar map of the network among the other halves of all texts is that of
        their own text; by chance 1 / n_texts. It tells how much of a text, content included, a map holds.
    network_identification, network_identification_across : array
        Share of maps whose most similar map among all networks in the other half of the same text, or in
        halves of other texts, is of the same network; by chance 1 / K. Where both are alike it is the network
        that is found again, where only the first is high it is the content of the text.
    content : tuple of three floats
        Mean r of the content of first halves with that of second halves: of the same text, of the text that
        is most alike, of all other texts.
    n_texts : int
        Texts that were long enough to be halved.
    """

    strengths: Strengths
    own_similarity: Array
    content_similarity: Array
    other_similarity: Array
    beyond_content: Array
    text_identification: Array
    network_identification: Array
    network_identification_across: Array
    content: tuple[float, float, float]
    n_texts: int


def retest(
    signals: Tensor, rows: Rows, maps: Tensor, masks: Tensor, rng: np.random.Generator, draws: int = 2_000
) -> Retest:
    """Dual regression of group maps onto both halves of every text, first tokens left out.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Signals of texts that the maps were not fitted to.
    rows : Rows
        Text of each token.
    maps : Tensor of shape (K, N), float32
        Group maps.
    masks : Tensor of shape (K, N), bool
        Members of the networks; one without members gets NaN for its ICC.
    rng : Generator
        Source of resampled texts and sign flips.
    draws : int
        Number of both.

    Raises
    ------
    SignalError
        If fewer than three texts are long enough to be halved.
    """
    halves = rows.halves(least=len(maps) + 2, first_position=FIRST_POSITION)
    if len(halves) < LEAST_TEXTS:
        raise SignalError(
            f"test-retest needs at least {LEAST_TEXTS} texts of at least {2 * (len(maps) + 2)} tokens for "
            f"{len(maps)} networks, first tokens left out, here are {len(halves)}"
        )
    regressed = _Regressed.of(signals, halves, maps)
    content = content_similarity(signals, halves)
    alike = most_alike(content)
    parts = range(0, len(maps), CHUNK_NETWORKS)
    weights, similarity = [], []
    for start in tqdm(parts, desc="dual regression", unit=" part", leave=False, delay=1):
        part = slice(start, start + CHUNK_NETWORKS)
        chunk = torch.stack([regressed.maps(text, part) for text in range(len(halves))])
        for place, mask in enumerate(masks[part]):
            weights.append(chunk[:, :, place][:, :, mask].double().mean(dim=2).numpy())
            similarity.append(_similarity(chunk[:, :, place]))
    by_network = np.stack(similarity)
    texts = np.arange(len(halves))
    own, other = by_network[:, texts, texts], by_network[:, texts, alike]
    within, across = _identified(regressed, len(maps))
    return Retest(
        strengths(np.stack(weights), alike, rng, draws),
        own.mean(axis=1),
        other.mean(axis=1),
        _off_diagonal(by_network),
        max_t((own - other).T, draws, rng).p_value,
        _hits_of_each(by_network).mean(axis=1),
        within,
        across,
        (float(content[texts, texts].mean()), float(content[texts, alike].mean()), _off_diagonal(content)),
        len(halves),
    )


@dataclass(frozen=True, eq=False)
class _Regressed:
    """Maps of texts' halves by dual regression, computed when asked: all of them may not fit in memory."""

    signals: Tensor
    halves: list[tuple[slice, slice]]
    weights: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, signals: Tensor, halves: list[tuple[slice, slice]], maps: Tensor) -> "_Regressed":
        weights = []
        for text in halves:
            first, second = (temporal_weights(least_squares_courses(signals[half], maps)) for half in text)
            weights.append((first, second))
        return cls(signals, halves, weights)

    def maps(self, text: int, networks: slice = slice(None)) -> Tensor:
        """Maps of both halves of a text, shape (2, K, N), on the CPU."""
        pairs = zip(self.halves[text], self.weights[text], strict=True)
        return torch.stack([(weights[networks] @ self.signals[half]).cpu() for half, weights in pairs])


def content_similarity(signals: Tensor, halves: list[tuple[slice, slice]]) -> Array:
    """Correlation of the content of first halves (rows) with that of second halves, shape (n, n).

    The content of a half is its mean signal, each neuron standardised over texts. Maps are fitted to
    deviations from that mean, so that content and maps are measured in different parts of the signals.
    """
    patterns = []
    for place in (0, 1):
        pattern = torch.stack([signals[half[place]].double().mean(dim=0).cpu() for half in halves])
        centred = pattern - pattern.mean(dim=0)
        patterns.append(_unit(centred / centred.std(dim=0).clamp_min(1e-300)))
    similarity: Array = (patterns[0] @ patterns[1].T).numpy()
    return similarity


def most_alike(content: Array) -> Indices:
    """Another text for each text, one to one, so that the sum of their similarity (n, n) is largest."""
    # more than any permutation can gain
    forbidden = -4.0 * len(content) * np.eye(len(content))
    return partners(content + forbidden)


def _similarity(maps: Tensor) -> Array:
    """|r| of the map of every first half with that of every second half, (n, 2, N) to (n, n)."""
    unit = _unit(maps)
    similarity: Array = (unit[:, 0] @ unit[:, 1].T).abs().double().numpy()
    return similarity


def _unit(maps: Tensor) -> Tensor:
    centred = maps - maps.mean(dim=-1, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True).clamp_min(1e-30)


def _off_diagonal(similarity: Array) -> Any:
    """Mean of the entries off the diagonal (..., n, n)."""
    n = similarity.shape[-1]
    total = similarity.sum(axis=(-2, -1)) - np.trace(similarity, axis1=-2, axis2=-1)
    return total / (n * (n - 1))


def _identified(regressed: _Regressed, n_networks: int) -> tuple[Array, Array]:
    """Share of each network's maps that find it among all, in the same text and in other texts, (K,) each."""
    n_texts = len(regressed.halves)
    shifts = range(min(OTHER_TEXTS, n_texts - 1) + 1)
    hits = np.zeros((len(shifts), n_networks))

    # each text is compared with the next ones
    @lru_cache(maxsize=len(shifts) + 1)
    def unit_maps(text: int) -> Tensor:
        return _unit(regressed.maps(text))

    for text in tqdm(range(n_texts), desc="networks among networks", unit=" text", leave=False, delay=1):
        for shift in shifts:
            first, second = unit_maps(text)[0], unit_maps((text + shift) % n_texts)[1]
            hits[shift] += _hits_of_each((first @ second.T).abs().numpy())
    shares = hits / n_texts
    return shares[0], shares[1:].mean(axis=0)


def _hits_of_each(similarity: Array) -> Array:
    """Tell how often the diagonal is largest in its row and column (..., n, n): 0, one half or 1 for each."""
    own = np.arange(similarity.shape[-1])
    by_row, by_column = (similarity.argmax(axis=axis) == own for axis in (-1, -2))
    hits: Array = (by_row.astype(np.float64) + by_column) / 2
    return hits
