import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fbn_exp.core.moments import (
    CHUNK_VALUES,
    NeuronStatistics,
    StatisticsByToken,
    moments,
    neuron_statistics,
    row_chunks,
    signal_statistics,
)


def draw(n_tokens, n_neurons, mean=0.0, spread=1.0):
    noise = torch.randn(n_tokens, n_neurons, generator=torch.Generator().manual_seed(0))
    return spread * noise + mean * torch.linspace(-1, 1, n_neurons)


def assert_moments_are_exact(values, tolerance):
    found = neuron_statistics(values)
    exact = values.double().numpy()
    spread = exact.std(axis=0)
    np.testing.assert_array_less(np.abs(found.mean.numpy() - exact.mean(axis=0)), tolerance * spread + 1e-300)
    np.testing.assert_allclose(found.standard_deviation, spread, rtol=tolerance)
    np.testing.assert_allclose(found.mean_absolute, np.abs(exact).mean(axis=0), rtol=tolerance)


@pytest.mark.parametrize(
    "shape", [(1000, 40), (70_001, 37), (11, CHUNK_VALUES // 3 + 1), (3, CHUNK_VALUES + 1)]
)
def test_moments_equal_float64_whatever_the_chunks(shape):
    assert_moments_are_exact(draw(*shape), tolerance=1e-5)


@pytest.mark.parametrize("mean", [1e2, 1e4])
def test_moments_keep_their_digits_where_the_mean_dwarfs_the_spread(mean):
    assert_moments_are_exact(draw(40_000, 50, mean=mean), tolerance=1e-5)


def test_moments_survive_a_massive_first_token():
    values = draw(3000, 4096)
    values[0] *= 1e4
    assert_moments_are_exact(values, tolerance=1e-5)


def test_a_constant_neuron_has_no_spread_worth_the_name():
    found = neuron_statistics(torch.full((50_000, 60), 0.1))
    assert (found.standard_deviation <= 1e-6 * found.mean).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_shows_in_its_neuron_alone(bad):
    values = draw(100, 5)
    values[70, 3] = bad
    finite = torch.isfinite(neuron_statistics(values).standard_deviation)
    assert finite.tolist() == [True, True, True, False, True]


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.floats(-1e3, 1e3, width=32),
    )
)
def test_moments_are_those_of_numpy(values):
    found = neuron_statistics(torch.from_numpy(values))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(found.standard_deviation, exact.std(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.mean_absolute, np.abs(exact).mean(axis=0), atol=1e-3)


def test_statistics_by_token_by_hand():
    values = torch.tensor([[10.0, -4], [1, 2], [3, 2], [-6, 0]])
    found = signal_statistics(values, torch.tensor([True, False, False, True])).by_token
    assert found.first.mean.tolist() == [2, -2]
    assert found.first.mean_absolute.tolist() == [8, 2]
    assert found.first.mean_square.tolist() == [68, 8]
    assert found.first.largest.tolist() == [10, 4]
    assert found.others.mean.tolist() == [2, 2]
    assert found.others.standard_deviation.tolist() == [1, 0]
    assert (found.first.n_tokens, found.others.n_tokens, found.all.n_tokens) == (2, 2, 4)
    assert found.all.mean.tolist() == [2, 0]
    assert found.all.mean_absolute.tolist() == [5, 2]
    assert found.all.mean_square.tolist() == pytest.approx([36.5, 6])
    assert found.all.largest.tolist() == [10, 4]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_a_massive_first_token_takes_no_digits_from_the_others(share):
    """Chunks with and without first tokens; a subtraction of sums would leave nothing of the others."""
    values = draw(3000, 4096)
    first = torch.rand(3000, generator=torch.Generator().manual_seed(1)) < share
    values[first] *= 1e4
    found = signal_statistics(values, first).by_token
    for statistics, rows in (
        (found.first, values[first]),
        (found.others, values[~first]),
        (found.all, values),
    ):
        assert statistics.n_tokens == len(rows)
        if len(rows):
            exact = rows.double()
            torch.testing.assert_close(statistics.mean_square, exact.square().mean(dim=0), rtol=1e-5, atol=0)
            torch.testing.assert_close(statistics.mean_absolute, exact.abs().mean(dim=0), rtol=1e-5, atol=0)
            error = (statistics.mean - exact.mean(dim=0)).abs() / exact.std(dim=0, correction=0)
            assert error.max() < 1e-5


def row_norms(values):
    return signal_statistics(values, torch.zeros(len(values), dtype=torch.bool)).norms


def test_statistics_that_were_not_recorded_apart_are_those_of_all_tokens():
    one = NeuronStatistics(torch.ones(2), torch.ones(2), torch.ones(2))
    assert StatisticsByToken(None, one).all is one


@given(st.integers(0, 50), st.sampled_from([1, 1000, CHUNK_VALUES // 7, CHUNK_VALUES, CHUNK_VALUES + 1]))
def test_chunks_are_views_of_all_rows_in_order(n_tokens, n_neurons):
    values = torch.empty(1).expand(n_tokens, n_neurons)
    chunks = list(row_chunks(values))
    assert sum(len(chunk) for chunk in chunks) == n_tokens
    assert all(chunk.numel() <= max(CHUNK_VALUES, n_neurons) for chunk in chunks)
    assert all(chunk.data_ptr() == values.data_ptr() for chunk in chunks)


def test_norms_outliers_and_their_share_by_hand():
    values = torch.zeros(5, 4)
    values[:, 0] = torch.tensor([3.0, -3.0, 3.0, 30.0, 40.0])
    values[4, 1] = 30.0
    found = row_norms(values)  # norms 3 3 3 30 50: 30 does not exceed ten times the median
    assert (found.median, found.largest, found.outliers) == (3, 50, 1)
    assert found.outlier_share == pytest.approx(2500 / (27 + 900 + 2500))


def test_norms_cover_every_chunk():
    values = torch.ones(11, CHUNK_VALUES // 4 + 1)
    values[10] = 100
    found = row_norms(values)
    assert found.outliers == 1
    assert found.largest == pytest.approx(100 * values.shape[1] ** 0.5, rel=1e-6)


def test_silent_signals_have_no_outliers():
    found = row_norms(torch.zeros(7, 3))
    assert (found.largest, found.outliers, found.outlier_share) == (0, 0, 0)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_moments_are_those_of_all_statistics(offset):
    values = torch.randn(3_000, 700, generator=torch.Generator().manual_seed(0)) + offset
    found, exact = moments(values), values.double()
    torch.testing.assert_close(found.mean, exact.mean(dim=0), rtol=1e-6, atol=1e-6)
    assert found.energy == pytest.approx(float((exact - exact.mean(dim=0)).square().sum()), rel=1e-5)


def test_moments_keep_what_is_not_a_number():
    values = torch.ones(50, 4)
    values[7, 2] = torch.nan
    assert math.isnan(moments(values).energy)
