"""Random masks with the sizes and the memberships of given ones."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import chisquare

from fbn_exp.networks.curveball import Curveball


def drawn(masks, seed, draws=1, rounds=None):
    curveball = Curveball(csr_matrix(masks.astype(float)), np.random.default_rng(seed), rounds)
    return [curveball.draw().toarray() for _ in range(draws)]


def all_with_margins(sizes, memberships):
    """Every 0/1 matrix with these sums of rows and columns, by enumeration."""
    rows = [
        [
            np.isin(np.arange(len(memberships)), members)
            for members in combinations(range(len(memberships)), n)
        ]
        for n in sizes
    ]
    matrices = [np.array(chosen) for chosen in product(*rows)]
    return [matrix for matrix in matrices if (matrix.sum(axis=0) == memberships).all()]


@given(st.integers(1, 9), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_sizes_and_memberships_stay_exactly(n_masks, n_neurons, density, seed):
    masks = np.random.default_rng(seed).random((n_masks, n_neurons)) < density
    for matrix in drawn(masks, seed, draws=2):
        assert set(np.unique(matrix)) <= {0, 1}
        assert (matrix.sum(axis=0) == masks.sum(axis=0)).all()
        assert (matrix.sum(axis=1) == masks.sum(axis=1)).all()


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        # one neuron of each mask: all orders of three
        (np.eye(3), 6),
        # the mask of two has neurons 0 and 1, or 0 and 2 (two ways for the rest), or 1 and 2 (one way)
        (np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]]), 5),
        # the mask of one has neuron 0 or 1 (two ways for the rest), or 2 (one way)
        (np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]]), 5),
    ],
)
def test_every_graph_with_the_same_degrees_is_equally_likely(masks, expected):
    possible = all_with_margins(masks.sum(axis=1).astype(int), masks.sum(axis=0))
    assert len(possible) == expected
    counts = Counter(matrix.astype(bool).tobytes() for matrix in drawn_from_anew(masks, 1_500))
    observed = [counts[matrix.tobytes()] for matrix in possible]
    assert sum(observed) == 1_500
    assert chisquare(observed).pvalue > 1e-3


def drawn_from_anew(masks, draws):
    """Draws of chains of their own: those of one chain share its hub."""
    return [drawn(masks, seed, rounds=8)[0] for seed in range(draws)]


def test_draws_depend_on_the_seed_alone():
    masks = np.random.default_rng(0).random((20, 200)) < 0.2
    first, again, other = (np.stack(drawn(masks, seed, draws=2)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (first[0] != first[1]).any()


def test_masks_forget_where_they_came_from():
    masks = np.zeros((60, 600))
    masks[np.arange(60)[:, None], np.arange(60)[:, None] * 10 + np.arange(10)] = 1
    # by chance a mask keeps 10 of its own 10 neurons in a sixtieth
    kept = np.mean([(matrix * masks).sum() / masks.sum() for matrix in drawn(masks, 0, draws=5)])
    assert kept == pytest.approx(1 / 60, abs=0.02)
