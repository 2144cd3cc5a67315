"""Random masks that keep every mask's size and every neuron's number of memberships."""

import math

import numpy as np
from scipy.sparse import csr_matrix

from fbn_exp.core.rows import Indices


class Curveball:
    """Random bipartite graphs of masks and neurons with the degrees of given ones, uniform over all of them.

    In a round all masks are paired at random; the neurons that only one mask of a pair has are dealt out
    anew between the two, as many to each as it had (Strona, Nappo, Boccacci, Fattorini & San-Miguel-Ayanz
    2014, A fast and unbiased procedure to randomize ecological binary matrices; all pairs at once: global
    curveball trades, Carstens, Hamann, Meyer, Penschuck, Tran & Wagner 2018). Every round is as likely as its
    reverse, so the chain has the uniform distribution over all such graphs.

    Draws are made as by Besag & Clifford (1989): some rounds lead from the given masks to a hub, and as many
    from the hub to each draw. The given masks are then exchangeable with the draws if they are themselves
    uniform, and a p value from ranks among them is exact, however slowly the chain mixes.

    Parameters
    ----------
    masks : csr_matrix of shape (L, N)
        Masks, as ones.
    rng : Generator
        Source of the trades.
    rounds : int, optional
        Rounds to the hub and back; by default one more than it takes a neuron to be able to reach any mask.
    """

    def __init__(self, masks: csr_matrix, rng: np.random.Generator, rounds: int | None = None) -> None:
        self._shape, self._bounds = masks.shape, masks.indptr
        self._rng = rng
        self._rounds = math.ceil(math.log2(max(2, masks.shape[0]))) + 1 if rounds is None else rounds
        members = np.split(masks.indices.astype(np.int64), masks.indptr[1:-1])
        self._hub = self._traded(members)

    def draw(self) -> csr_matrix:
        """Random masks (L, N) with the same sizes and memberships."""
        indices = np.concatenate(self._traded(self._hub))
        return csr_matrix((np.ones(len(indices)), indices, self._bounds), shape=self._shape)

    def _traded(self, members: list[Indices]) -> list[Indices]:
        members = list(members)
        for _ in range(self._rounds):
            order = self._rng.permutation(len(members))
            for first, second in zip(order[0::2], order[1::2], strict=False):
                members[first], members[second] = self._trade(members[first], members[second])
        return members

    def _trade(self, first: Indices, second: Indices) -> tuple[Indices, Indices]:
        """Deal the neurons of only one of two masks out anew."""
        pooled = np.sort(np.concatenate([first, second]))
        twice = pooled[1:] == pooled[:-1]
        common = pooled[1:][twice]
        single = np.ones(len(pooled), dtype=bool)
        single[1:][twice] = single[:-1][twice] = False
        dealt = self._rng.permutation(pooled[single])
        n_first = len(first) - len(common)
        return np.concatenate([common, dealt[:n_first]]), np.concatenate([common, dealt[n_first:]])
