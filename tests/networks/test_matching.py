import numpy as np
import pytest
import torch

from fbn_exp.networks.matching import absolute_correlation, matched, partners


def test_the_matching_is_the_best_in_sum_and_leaves_rows_over_where_columns_run_out():
    similarity = np.array([[0.9, 0.8], [0.85, 0.1], [0.2, 0.3]])
    assert partners(similarity).tolist() == [1, 0, -1]
    assert matched(similarity).tolist() == [0.8, 0.85, 0]


def test_correlation_of_maps_ignores_sign_scale_and_offset():
    maps = torch.randn(3, 200, generator=torch.Generator().manual_seed(0))
    found = absolute_correlation(maps, torch.stack([5 - 2 * maps[1], torch.ones(200)]))
    assert found[1, 0] == pytest.approx(1, abs=1e-6)
    assert found[:, 1].tolist() == [0, 0, 0]
    assert found[0, 0] == pytest.approx(abs(np.corrcoef(maps[0], maps[1])[0, 1]), abs=1e-6)
