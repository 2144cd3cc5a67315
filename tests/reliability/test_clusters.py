import pytest
import torch

from fbn_exp.reliability.clusters import (
    average_linkage,
    centrotypes,
    cluster,
    matched,
    quality,
    reproducibility,
    similarity,
)
from fbn_exp.reliability.config import Cluster
from fbn_exp.reliability.runs import Run

# two runs of two networks: estimates 0 and 2 are one network, 1 and 3 the other
SIMILAR = torch.tensor(
    [[1.0, 0.1, 0.9, 0.2], [0.1, 1.0, 0.3, 0.7], [0.9, 0.3, 1.0, 0.0], [0.2, 0.7, 0.0, 1.0]],
    dtype=torch.float64,
)


def test_iq_is_what_a_small_table_gives_by_hand():
    labels = torch.tensor([0, 1, 0, 1])
    outside = (0.1 + 0.2 + 0.3 + 0.0) / 4
    assert quality(SIMILAR, labels).tolist() == pytest.approx([0.9 - outside, 0.7 - outside])


def test_an_estimate_by_itself_agrees_with_nothing():
    labels = torch.tensor([0, 1, 0, 0])
    assert quality(SIMILAR, labels)[1] == pytest.approx(0 - (0.1 + 0.3 + 0.7) / 3)


def test_iq_of_one_kind_of_runs_ignores_the_others():
    labels = torch.tensor([0, 1, 0, 1, 0])
    similar = torch.ones(5, 5, dtype=torch.float64)
    similar[:4, :4] = SIMILAR
    chosen = torch.tensor([True, True, True, True, False])
    torch.testing.assert_close(quality(similar, labels, chosen), quality(SIMILAR, labels[:4]))


def test_estimates_of_one_network_are_one_cluster():
    labels = average_linkage(SIMILAR, 2)
    assert labels[0] == labels[2] != labels[1] == labels[3]


def test_identical_runs_still_give_as_many_clusters_as_networks():
    directions = torch.eye(6, dtype=torch.float64).repeat(4, 1)
    labels = average_linkage(similarity(directions), 6)
    assert labels.bincount().tolist() == [4] * 6
    assert quality(similarity(directions), labels).tolist() == [1.0] * 6


def test_the_sign_of_an_estimate_does_not_matter():
    directions = torch.eye(3, dtype=torch.float64).repeat(2, 1) * torch.tensor([1, 1, 1, -1, 1, -1])[:, None]
    assert quality(similarity(directions), average_linkage(similarity(directions), 3)).tolist() == [1.0] * 3


def test_the_centrotype_is_the_most_similar_to_its_own_cluster():
    similar = torch.tensor(
        [[1.0, 0.8, 0.2, 0.9], [0.8, 1.0, 0.7, 0.9], [0.2, 0.7, 1.0, 0.9], [0.9, 0.9, 0.9, 1.0]]
    )
    # estimate 3 is closest to all, but stands for its own cluster only
    assert centrotypes(similar, torch.tensor([0, 0, 0, 1])).tolist() == [1, 3]


def test_networks_are_matched_one_to_one_in_every_run():
    similar = SIMILAR.clone()
    similar[0, 3] = similar[3, 0] = 0.95  # estimate 3 resembles both networks, network 1 has no other
    similar[1, 2] = similar[2, 1] = 0.0
    assert matched(similar, torch.tensor([0, 1]), 2).tolist() == [[0, 1], [2, 3]]


def test_reproducibility_leaves_out_the_run_that_a_network_comes_from():
    # three runs of one network, which comes from the first
    similar = torch.tensor([[1.0, 0.9, 0.8], [0.9, 1.0, 0.4], [0.8, 0.4, 1.0]], dtype=torch.float64)
    assert reproducibility(similar, torch.tensor([0]), 3).tolist() == pytest.approx([0.4])
    assert reproducibility(similar, torch.tensor([2]), 3).tolist() == pytest.approx([0.9])


def test_runs_are_compared_by_their_sources_or_by_their_maps():
    rng = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 50, generator=rng)
    sources = torch.randn(3, 80, 2, generator=rng, dtype=torch.float64)
    runs = [Run(maps, courses, True) for courses in sources]
    assert cluster(runs, Cluster.maps).iq.min() > 0.7
    assert cluster(runs, Cluster.sources).iq.max() < 0.3
