import numpy as np
import pytest
import torch
from scipy import stats

from fbn_exp.methods.localizer.welch import WelchTest, welch


def groups(n_texts, *members):
    masks = torch.zeros(len(members), n_texts, dtype=torch.bool)
    for row, texts in enumerate(members):
        masks[row, texts] = True
    return masks


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((40, 200)) * rng.uniform(0.1, 50, 200)
    drawn[:15] *= 3
    drawn[:15, :20] += 5
    drawn[:, -1] = 0
    return torch.from_numpy(drawn - drawn.mean(axis=0))


def test_t_and_its_degrees_of_freedom_are_those_of_scipy_for_every_pair_of_groups(values):
    first = groups(40, slice(15), slice(0, 40, 2))
    second = groups(40, slice(15, 40), slice(1, 20, 3))
    found = welch(values, first, second)
    for row in range(2):
        one, other = (values[group[row]][:, :-1].numpy() for group in (first, second))
        expected = stats.ttest_ind(one, other, equal_var=False)
        np.testing.assert_allclose(found.t[row, :-1], expected.statistic, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.degrees[row, :-1], expected.df, rtol=1e-9)


def test_z_has_the_p_value_of_t(values):
    first, second = groups(40, slice(15)), groups(40, slice(15, 40))
    one, other = (values[group[0]][:, :-1].numpy() for group in (first, second))
    expected = stats.ttest_ind(one, other, equal_var=False).pvalue
    z = welch(values, first, second).z()[0, :-1]
    np.testing.assert_allclose(2 * stats.norm.sf(z.abs()), expected, rtol=1e-7)


def test_a_constant_neuron_has_no_difference(values):
    found = welch(values, groups(40, slice(15)), groups(40, slice(15, 40)))
    assert found.t[0, -1] == 0
    assert found.z()[0, -1] == 0


def test_z_stays_finite_and_exact_where_the_tail_is_too_small_for_a_float():
    t = torch.tensor([[112.0, -112.0, 200.0, 1e4]], dtype=torch.float64)
    degrees = torch.tensor([[400.0, 400.0, 900.0, 2000.0]], dtype=torch.float64)
    z = WelchTest(t, degrees).z()[0]
    assert z.isfinite().all()
    assert z[0] == -z[1]
    assert z[0] < z[2] < z[3]
    # the first tail can just be held, though it is computed by the series
    tail = stats.t.sf(112, 400)
    assert 1e-307 < tail < 1e-290
    assert stats.norm.logsf(float(z[0])) == pytest.approx(np.log(tail), rel=1e-9)
