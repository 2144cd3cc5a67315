from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from fbn_exp.analysis.connectivity import cluster_order, connectivity
from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Rows
from fbn_exp.report.analyses import present
from fbn_exp.report.analyses.connectivity import connectivity_table
from fbn_exp.report.figures.connectivity import connectivity_figure

N_TEXTS, LENGTH = 40, 200


def planted(correlation, n_texts=N_TEXTS, length=LENGTH, seed=0):
    """Gaussian courses with a known correlation within texts, and a large offset of each text."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(np.array(correlation, dtype=float))
    rows = Rows((length,) * n_texts)
    courses = rng.standard_normal((n_texts * length, len(root))) @ root.T
    return courses + 20 * rng.standard_normal(n_texts)[rows.text, None], rows


CHAIN = [[1, 0.6, 0.36], [0.6, 1, 0.6], [0.36, 0.6, 1]]


def test_planted_correlation_is_found_whatever_the_offset_of_a_text():
    found = connectivity(*planted(CHAIN))
    assert found.correlation.mean == pytest.approx(np.array(CHAIN), abs=0.02)
    assert (found.correlation.low <= np.array(CHAIN) + 1e-12).all()
    assert (found.correlation.high >= np.array(CHAIN) - 1e-12).all()
    assert found.n_texts == N_TEXTS


def test_partial_correlation_drops_what_a_third_network_explains():
    # texts so long that shrinkage is slight
    found = connectivity(*planted(CHAIN, n_texts=8, length=4_000))
    # the ends of a chain are independent given its middle; neighbours keep (.6 − .6·.36) / √((1−.36²)(1−.6²))
    assert found.partial.mean[0, 2] == pytest.approx(0, abs=0.02)
    assert found.partial.mean[0, 1] == pytest.approx(0.384 / np.sqrt(0.8704 * 0.64), abs=0.02)
    assert found.shrinkage < 0.01


def test_shrinkage_keeps_partial_correlations_finite_with_more_networks_than_tokens():
    courses, rows = planted(np.eye(30), n_texts=10, length=20)
    found = connectivity(courses, rows)
    off_diagonal = found.partial.mean[np.triu_indices(30, 1)]
    assert np.abs(off_diagonal).max() < 0.35
    assert found.shrinkage > 0.5


def test_independent_networks_are_called_connected_in_one_of_twenty_samples_at_most():
    wrong, n_samples = 0, 150
    for seed in range(n_samples):
        rng = np.random.default_rng(seed)
        rows = Rows((30,) * 12)
        found = connectivity(rng.laplace(size=(len(rows), 5)), rows, seed=seed, draws=99)
        wrong += np.nanmin(found.correlation.p_value) <= 0.05
    low, high = binom.ppf([0.001, 0.999], n_samples, 0.05)
    assert low <= wrong <= high


def test_intervals_of_all_pairs_cover_the_truth_together():
    missed = 0
    for seed in range(40):
        found = connectivity(*planted(CHAIN, n_texts=20, length=40, seed=seed), seed=seed, draws=300)
        inside = (found.correlation.low <= np.array(CHAIN)) & (np.array(CHAIN) <= found.correlation.high)
        missed += not inside[np.triu_indices(3, 1)].all()
    assert missed < 8  # 2 expected


def test_a_connection_is_told_from_none():
    truth = np.eye(4)
    truth[0, 1] = truth[1, 0] = 0.3
    found = connectivity(*planted(truth))
    assert found.correlation.p_value[0, 1] < 0.01
    assert found.correlation.p_value[2, 3] > 0.05
    assert found.correlation.low[2, 3] < 0 < found.correlation.high[2, 3]
    assert np.isnan(found.correlation.p_value.diagonal()).all()


@pytest.mark.parametrize(("fitted", "said"), [(True, "fitted to some"), (None, "unknown"), (False, None)])
def test_texts_that_the_networks_were_fitted_to_are_remarked_on(fitted, said):
    found = replace(connectivity(*planted(CHAIN)), fitted=fitted)
    remarks = present(found).remarks
    assert len(remarks) == (said is not None)
    assert all(said in remark and "force a correlation of 0" in remark for remark in remarks)


def test_a_course_that_is_flat_in_a_text_leaves_that_text_out_of_its_pairs():
    courses, rows = planted(CHAIN, n_texts=10)
    whole = connectivity(courses[LENGTH:], Rows(rows.lengths[1:]))
    courses[rows.slices[0], 0] = 3.0
    found = connectivity(courses, rows)
    assert found.correlation.mean[0, 1] == pytest.approx(whole.correlation.mean[0, 1])
    assert found.correlation.mean[1, 2] != whole.correlation.mean[1, 2]


def test_clusters_are_neighbours_in_the_order():
    groups = np.array([0, 1, 0, 1, 0, 1])
    correlation = np.where(groups[:, None] == groups, 0.7, -0.2) + 0.3 * np.eye(6)
    order = cluster_order(correlation)
    assert sorted(order) == list(range(6))
    assert groups[list(order)].tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("n_networks", [1, 2, 40])
def test_every_number_of_networks_has_a_table_and_a_picture(n_networks, tmp_path):
    found = connectivity(*planted(np.eye(n_networks), n_texts=4, length=30), draws=50)
    assert len(connectivity_table(found)) == n_networks * (n_networks - 1) // 2
    file = tmp_path / "connectivity.png"
    connectivity_figure(found).savefig(file)
    assert file.stat().st_size > 5_000


def test_the_same_seed_gives_the_same_intervals():
    first, second, other = (connectivity(*planted(CHAIN), seed=seed) for seed in (1, 1, 2))
    assert (first.correlation.low == second.correlation.low).all()
    assert (first.correlation.low != other.correlation.low).any()


def test_too_few_texts_are_refused():
    courses, _ = planted(CHAIN, n_texts=3, length=10)
    with pytest.raises(SignalError, match="at least 2 texts of 8 tokens"):
        connectivity(courses, Rows((5,) * 6))
    with pytest.raises(SignalError, match=r"\(30, 3\)"):
        connectivity(courses, Rows((29,)))
