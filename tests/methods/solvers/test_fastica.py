"""The symmetric fixed point."""

import warnings

import pytest
import sklearn.decomposition
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import plant

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.contrasts import Derivative
from fbn_exp.methods.solvers.fastica import fastica, fixed_point, largest_gradient, symmetric_decorrelation
from fbn_exp.methods.subspace import leading_subspace

every_contrast = pytest.mark.parametrize("contrast", list(Contrast))


@pytest.fixture(scope="module")
def whitened():
    """Ten planted sources, rotated: shape (10, 5000)."""
    signals, _ = plant(n_tokens=5000, n_neurons=500, n_networks=10, noise=0.5)
    return leading_subspace(signals, 10, torch.Generator().manual_seed(0)).whitened().T.contiguous()


def starts(count, k=10, seed=4):
    return torch.randn(count, k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_contrast
def test_fixed_point_ends_where_scikit_learn_ends(whitened, contrast):
    start = starts(1)
    weights, n_iterations, change = fixed_point(Derivative(whitened, contrast), start, 1e-10, 400)
    model = sklearn.decomposition.FastICA(
        whiten=False, w_init=start[0].numpy(), fun=contrast.value, tol=1e-10, max_iter=400
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = model.fit(whitened.T.numpy())
    assert change.item() < 1e-10
    assert abs(n_iterations.item() - theirs.n_iter_) <= 1
    torch.testing.assert_close(weights[0], torch.from_numpy(theirs.components_), atol=1e-5, rtol=0)


def test_a_batch_of_starts_is_each_start_by_itself(whitened):
    together = fastica(whitened, starts(5), Contrast.logcosh, 1e-8, 200)
    for index, start in enumerate(starts(5)):
        alone = fastica(whitened, start[None], Contrast.logcosh, 1e-8, 200)
        torch.testing.assert_close(together.weights[index], alone.weights[0], atol=1e-6, rtol=0)
        assert abs(together.n_iterations[index] - alone.n_iterations[0]) <= 1
    assert together.converged.all()
    assert together.n_iterations.unique().numel() > 1


def test_iterations_are_counted_in_both_precisions_and_end_at_the_limit(whitened):
    found = fastica(whitened, starts(3), Contrast.logcosh, 1e-30, 9)
    assert found.n_iterations.tolist() == [9, 9, 9]
    assert not found.converged.any()


def test_a_start_that_diverges_counts_as_failed_and_leaves_the_others_alone(whitened):
    three = starts(3)
    three[1, 2, 3] = float("inf")
    found = fastica(whitened, three, Contrast.logcosh, 1e-4, 200)
    assert found.converged.tolist() == [True, False, True]
    assert found.gradient.isfinite().tolist() == [True, False, True]


@every_contrast
def test_the_gradient_is_that_of_the_objective_along_rotations(whitened, contrast):
    weights = symmetric_decorrelation(starts(1))
    functions = {
        Contrast.logcosh: lambda y: y.cosh().log(),
        Contrast.exp: lambda y: -torch.exp(-y * y / 2),
        Contrast.cube: lambda y: y**4 / 4,
    }
    y = weights[0] @ whitened
    g = torch.func.vmap(torch.func.grad(functions[contrast]))(y.flatten()).reshape(y.shape)
    slope = torch.func.vmap(torch.func.grad(torch.func.grad(functions[contrast])))(y.flatten())
    signs = (slope.reshape(y.shape).mean(dim=1) - (g * y).mean(dim=1)).sign()
    angles = torch.zeros(10, 10, dtype=torch.float64, requires_grad=True)
    turned = torch.matrix_exp(angles - angles.T) @ y
    (signs * functions[contrast](turned).mean(dim=1)).sum().backward()
    # a pair of sources has an entry above and one below the diagonal
    expected = angles.grad.abs().max() / 2
    assert largest_gradient(Derivative(whitened, contrast), weights).item() == pytest.approx(expected.item())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_decorrelated_rows_are_orthonormal_and_the_nearest_such(k, seed):
    weights = torch.randn(k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = symmetric_decorrelation(weights)
    left, _, right = torch.linalg.svd(weights)
    torch.testing.assert_close(found, left @ right, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [0, 1e-12, 1e-6])
def test_rows_that_are_all_but_alike_are_decorrelated_to_orthonormal_ones(dtype, apart):
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights[1] = weights[0] + apart * weights[1]
    found = symmetric_decorrelation(weights.to(dtype)).double()
    torch.testing.assert_close(found @ found.T, torch.eye(6).double(), atol=1e-6, rtol=0)
