import pytest
import torch

from fbn_exp.core.moments import CHUNK_VALUES, neuron_statistics
from fbn_exp.signals.config import Standardise
from fbn_exp.signals.standardise import standardise


def draw(n_tokens=2000, n_neurons=30):
    noise = torch.randn(n_tokens, n_neurons, generator=torch.Generator().manual_seed(0))
    scale = torch.logspace(-3, 3, n_neurons)
    return noise * scale + 5 * scale.flip(0)


def standardised(values, how):
    result = values.clone()
    standardise(result, how, neuron_statistics(values))
    return result.double()


def test_zscored_neurons_have_mean_0_and_variance_1():
    # the mean is up to 2,400 times the spread, and rounded to float32
    found = standardised(draw()[:, 8:], Standardise.zscore)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(22).double(), atol=2e-3, rtol=0)
    torch.testing.assert_close(found.var(dim=0, correction=0), torch.ones(22).double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("constant", [0.0, 0.1, -123.456, 1e-20, 1e20])
def test_a_constant_neuron_becomes_0(constant):
    values = draw(n_neurons=3)
    values[:, 1] = constant
    found = standardised(values, Standardise.zscore)
    assert (found[:, 1] == 0).all()
    assert torch.isfinite(found).all()


def test_the_rounding_error_of_a_constant_neuron_is_not_blown_up():
    values = draw(n_neurons=3)
    values[:, 1] = 1e4
    values[::2, 1] = torch.nextafter(values[0, 1], torch.tensor(torch.inf))
    assert (standardised(values, Standardise.zscore)[:, 1] == 0).all()


def test_row_l2_gives_unit_rows_in_their_old_direction():
    values = draw()
    found = standardised(values, Standardise.row_l2)
    norms = torch.linalg.vector_norm(values.double(), dim=1, keepdim=True)
    torch.testing.assert_close(found, values.double() / norms, atol=1e-6, rtol=1e-5)


def test_a_zero_row_stays_0_under_row_l2():
    values = draw()
    values[7] = 0
    found = standardised(values, Standardise.row_l2)
    assert (found[7] == 0).all()
    assert torch.isfinite(found).all()


def test_none_changes_no_bit():
    values = draw()
    assert torch.equal(standardised(values, Standardise.none), values.double())


@pytest.mark.parametrize("how", [Standardise.zscore, Standardise.row_l2])
def test_every_chunk_is_standardised(how):
    values = torch.randn(11, CHUNK_VALUES // 4 + 1, generator=torch.Generator().manual_seed(0))
    axis = 0 if how is Standardise.zscore else 1
    squares = standardised(values, how).square().sum(dim=axis)
    torch.testing.assert_close(squares, torch.full_like(squares, 11 if axis == 0 else 1), rtol=1e-4, atol=0)
