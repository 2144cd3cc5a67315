"""Chance levels of recurrence: masks at random, rotations, and masks of the same loud neurons."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import Tensor
from tqdm import tqdm

from fbn_exp.analysis.recurrence.matches import Individual, Matches, Templates, matches_of
from fbn_exp.core.rows import Array
from fbn_exp.methods.base import tail_signs
from fbn_exp.networks.curveball import Curveball
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import absolute_correlation
from fbn_exp.networks.surrogates import ShuffledMasks, sparse, sparse_overlap

# share of a time course's energy in the first token, above which the network is that token
SINK_SHARE = 0.5
# largest correlation of time courses that count as uncorrelated
UNCORRELATED = 0.01
# rotated weights that are thresholded at once
CHUNK_VALUES = 2**22


def mask_null(
    templates: Templates, texts: Sequence[Individual], draws: int, rng: np.random.Generator
) -> list[Matches]:
    """Match masks of random neurons, with the same sizes in the same blocks.

    In each draw the neurons of every text are permuted within their blocks, anew for every text.
    """
    shuffled = ShuffledMasks(templates.masks, templates.networks.layout)
    members: list[csr_matrix] = [sparse(templates.members_of(text)) for text in texts]
    found = []
    for _ in tqdm(range(draws), desc="random masks", unit=" draw", leave=False):
        overlaps = [shuffled.intersection_over_union(each, rng) for each in members]
        found.append(matches_of([templates.with_best_sign(each) for each in overlaps], templates.minimum_iou))
    return found


def degree_null(
    templates: Templates, texts: Sequence[Individual], draws: int, rng: np.random.Generator
) -> list[Matches]:
    """Match masks that keep their sizes, and each neuron's number of memberships over all texts' networks.

    Neurons that are loud in many texts stay members of as many networks: what matches more often than that
    shares more than its loud neurons. See ``Curveball``.
    """
    members = [sparse(templates.members_of(text)) for text in texts]
    curveball = Curveball(csr_matrix(vstack(members)), rng)
    bounds = np.cumsum([0, *(each.shape[0] for each in members)])
    fixed = np.ascontiguousarray(templates.masks.numpy().T, dtype=np.float64)
    sizes = fixed.sum(axis=0)
    found = []
    for _ in tqdm(range(draws), desc="masks of equal degrees", unit=" draw", leave=False):
        overlap = sparse_overlap(fixed, sizes, curveball.draw())
        of_texts = [templates.with_best_sign(overlap[:, start:stop]) for start, stop in pairwise(bounds)]
        found.append(matches_of(of_texts, templates.minimum_iou))
    return found


def rotation_null(
    templates: Templates, texts: Sequence[Individual], draws: int, rng: np.random.Generator
) -> list[Matches]:
    """Match random rotations of each text's networks: other networks of the same subspace.

    What recurs no more than rotations do comes from the directions in which a text varies, not from how the
    method separates them.
    """
    overlaps: list[list[Array]] = [[] for _ in range(draws)]
    similarities: list[list[Array]] = [[] for _ in range(draws)]
    for text in tqdm(texts, desc="rotated networks", unit=" text", leave=False):
        width = len(text.maps)
        step = max(1, CHUNK_VALUES // text.maps.numel())
        rotations = Rotations.of(text)
        for start in range(0, draws, step):
            chosen = range(start, min(draws, start + step))
            maps = torch.cat([rotations.draw(rng) for _ in chosen])
            overlap = templates.with_best_sign(
                intersection_over_union(templates.masks, templates.members(maps)).numpy()
            )
            similarity = absolute_correlation(templates.networks.maps, maps).numpy()
            for place, draw in enumerate(chosen):
                part = slice(place * width, (place + 1) * width)
                overlaps[draw].append(overlap[:, part])
                similarities[draw].append(similarity[:, part])
    pairs = zip(overlaps, similarities, strict=True)
    return [matches_of(overlap, templates.minimum_iou, similarity) for overlap, similarity in pairs]


class Rotations:
    """Random rotations of a text's networks, apart from those that are its first token.

    Time courses that are uncorrelated, as temporal ICA's are, are rotated, and the maps with them. Otherwise
    the maps are made uncorrelated and rotated, as spatial ICA's are. Networks with more than half of their
    energy in the first token, the attention sink, are kept: where it holds most of the variance, rotated maps
    would all be copies of it.

    Parameters
    ----------
    kept : Tensor of shape (S, N)
        Maps that are not rotated.
    basis : Tensor of shape (L - S, N)
        Maps of white time courses, or white maps.
    """

    def __init__(self, kept: Tensor, basis: Tensor) -> None:
        self._kept, self._basis = kept, basis

    @classmethod
    def of(cls, text: Individual) -> "Rotations":
        """Take the networks of a text apart."""
        courses = text.courses / text.courses.square().sum(dim=0).sqrt().clamp_min(1e-300)
        is_sink = courses[0].square() > SINK_SHARE
        if not text.has_first_token:
            is_sink = torch.zeros_like(is_sink)
        rest = text.maps[~is_sink]
        gram = (courses[:, ~is_sink].T @ courses[:, ~is_sink]).fill_diagonal_(0)
        if len(rest) > 0 and gram.abs().max() > UNCORRELATED:
            rest = _whitened(rest)
        return cls(text.maps[is_sink], rest)

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Draw maps (L, N), heavier tails positive."""
        # uniform over the orthogonal matrices up to signs of rows, which the tails fix (Mezzadri 2007)
        turn = np.linalg.qr(rng.standard_normal((len(self._basis),) * 2))[0].T
        maps = torch.from_numpy(turn).to(self._basis) @ self._basis
        return torch.cat([self._kept, maps * tail_signs(maps)[:, None]])


def _whitened(maps: Tensor) -> Tensor:
    """Turn maps (L, N) into maps of the same span that are uncorrelated over neurons, of equal variance."""
    exact = maps.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    used = values > 1e-12 * values[-1]
    return ((vectors[:, used] / values[used].sqrt()).T @ exact).to(maps)
