"""Quasi-Newton iterations over rotations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import matched_correlation

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers.contrasts import Derivative
from fbn_exp.methods.solvers.fastica import fastica, largest_gradient, symmetric_decorrelation
from fbn_exp.methods.solvers.picard import picard
from fbn_exp.methods.subspace import leading_subspace

every_contrast = pytest.mark.parametrize("contrast", list(Contrast))
TOLERANCE = 1e-9


def unit(sources):
    """Centre sources (K, T), and decorrelate them by the nearest such matrix."""
    sources = sources - sources.mean(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(sources @ sources.T / sources.shape[1])
    return (vectors / values.sqrt()) @ vectors.T @ sources


def mixed_kurtosis(n_samples=3000, seed=1):
    """Five super-Gaussian sources, five sub-Gaussian ones, and three of Gaussian noise."""
    rng = np.random.default_rng(seed)
    rows = [rng.laplace(size=n_samples) for _ in range(3)]
    rows += [rng.standard_normal(n_samples) * (rng.uniform(size=n_samples) < 0.1) for _ in range(2)]
    rows += [rng.uniform(-1, 1, size=n_samples) for _ in range(3)]
    rows += [rng.choice([-1.0, 1.0], n_samples) + 0.3 * rng.standard_normal(n_samples) for _ in range(2)]
    rows += [rng.standard_normal(n_samples) for _ in range(3)]
    return torch.from_numpy(np.stack(rows))


def starts(count, k=13, seed=4):
    return torch.randn(count, k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def whitened():
    """The sources, whitened and rotated."""
    return symmetric_decorrelation(starts(1, seed=9)[0]) @ unit(mixed_kurtosis())


@every_contrast
def test_the_gradient_at_the_end_is_below_the_tolerance_as_another_computation_finds(whitened, contrast):
    found = picard(whitened, starts(6), contrast, TOLERANCE, 400)
    assert found.converged.all()
    functions = {
        Contrast.logcosh: lambda y: (torch.tanh(y), 1 - torch.tanh(y) ** 2),
        Contrast.exp: lambda y: (y * torch.exp(-y * y / 2), (1 - y * y) * torch.exp(-y * y / 2)),
        Contrast.cube: lambda y: (y**3, 3 * y**2),
    }
    for weights, gradient in zip(found.weights, found.gradient, strict=True):
        torch.testing.assert_close(weights @ weights.T, torch.eye(13).double(), atol=1e-10, rtol=0)
        y = weights @ whitened
        g, slope = functions[contrast](y)
        relative = g @ y.T / y.shape[1]
        relative = (slope.mean(dim=1) - relative.diagonal()).sign()[:, None] * relative
        again = (relative - relative.T).abs().max().item() / 2
        assert again < 2 * TOLERANCE
        assert again == pytest.approx(gradient.item(), abs=TOLERANCE)


def test_sources_of_mixed_kurtosis_are_recovered_where_the_fixed_point_does_not_converge(whitened):
    planted = mixed_kurtosis()[:10]
    ours = picard(whitened, starts(6), Contrast.logcosh, TOLERANCE, 400)
    assert ours.converged.all()
    for weights in ours.weights:
        assert matched_correlation(weights @ whitened, planted).min() > 0.99
    theirs = fastica(whitened, starts(6), Contrast.logcosh, 1e-4, 400)
    assert theirs.converged.sum() < 3
    assert theirs.gradient.min() > 1e4 * TOLERANCE


def test_a_batch_of_starts_is_each_start_by_itself():
    whitened = unit(mixed_kurtosis()[:10])
    together = picard(whitened, starts(5, k=10), Contrast.logcosh, TOLERANCE, 400)
    for index, start in enumerate(starts(5, k=10)):
        alone = picard(whitened, start[None], Contrast.logcosh, TOLERANCE, 400)
        torch.testing.assert_close(together.weights[index], alone.weights[0], atol=1e-6, rtol=0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(list(Contrast)))
def test_a_rotation_of_the_samples_changes_nothing(seed, contrast):
    samples = unit(mixed_kurtosis(1000)[:9])
    turn = symmetric_decorrelation(starts(1, k=9, seed=seed)[0])
    plain = picard(samples, starts(1, k=9), contrast, TOLERANCE, 400)
    turned = picard(turn @ samples, starts(1, k=9) @ turn.T, contrast, TOLERANCE, 400)
    torch.testing.assert_close(turned.weights @ turn, plain.weights, atol=1e-5, rtol=0)


def test_a_start_that_diverges_counts_as_failed_and_leaves_the_others_alone(whitened):
    three = starts(3)
    three[1, 2, 3] = float("nan")
    found = picard(whitened, three, Contrast.logcosh, TOLERANCE, 400)
    assert found.converged.tolist() == [True, False, True]
    assert found.gradient[1] == float("inf")


@pytest.mark.parametrize("most", [1, 15, 18])
def test_iterations_end_at_their_limit(whitened, most):
    found = picard(whitened, starts(3), Contrast.logcosh, 1e-14, most)
    assert found.n_iterations.tolist() == [most] * 3
    assert not found.converged.any()
    exact = largest_gradient(Derivative(whitened, Contrast.logcosh), found.weights)
    torch.testing.assert_close(exact, found.gradient, rtol=1e-6, atol=1e-10)


def test_a_tolerance_below_rounding_ends_without_convergence(whitened):
    found = picard(whitened, starts(3), Contrast.logcosh, 1e-30, 400)
    assert not found.converged.any()
    assert found.gradient.max() < 1e-11


def test_a_single_source_needs_no_rotation():
    found = picard(unit(mixed_kurtosis()[:1]), starts(2, k=1), Contrast.logcosh, TOLERANCE, 400)
    assert found.converged.all()
    assert found.weights.abs().flatten().tolist() == [1, 1]


def test_gaussian_samples_end_at_an_optimum_too():
    samples = unit(torch.randn(6, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert picard(samples, starts(10, k=6), Contrast.logcosh, TOLERANCE, 1000).converged.all()


def reference(whitened, start, contrast, first_steps):
    """Rotation that the authors' implementation reaches from a start, shape (1, K, K)."""
    module = pytest.importorskip("picard")
    # its other exp is exp(−y²/20)
    exp = module.densities.Exp(params={"alpha": 1.0})
    fun = {Contrast.logcosh: "tanh", Contrast.exp: exp, Contrast.cube: "cube"}[contrast]
    _, weights, _ = module.picard(
        whitened.numpy(), fun=fun, ortho=True, extended=True, whiten=False, centering=False,
        w_init=symmetric_decorrelation(start).numpy(), max_iter=1000, tol=1e-8, fastica_it=first_steps,
    )  # fmt: skip
    return torch.from_numpy(weights)[None]


@every_contrast
def test_the_reference_implementation_ends_at_the_same_optimum(contrast):
    # without the noise, in which each start may end elsewhere
    whitened = symmetric_decorrelation(starts(1, k=10, seed=9)[0]) @ unit(mixed_kurtosis()[:10])
    found = picard(whitened, starts(4, k=10), contrast, 1e-8, 400)
    for index, start in enumerate(starts(4, k=10)):
        theirs = reference(whitened, start, contrast, first_steps=15)
        gradient = largest_gradient(Derivative(whitened, contrast), theirs).item()
        assert found.gradient[index] < max(1e-8, gradient)
        assert (found.weights[index] @ theirs[0].T).abs().amax(dim=1).min() > 0.9999


@pytest.mark.slow
@every_contrast
def test_on_recorded_signals_the_reference_implementation_stays_at_our_optimum(recorded_signals, contrast):
    subspace = leading_subspace(recorded_signals, 10, torch.Generator().manual_seed(0))
    whitened = subspace.whitened().T.contiguous()
    ours = picard(whitened, starts(4, k=10), contrast, 1e-8, 400)
    assert ours.converged.all()
    # near enough not to leave it for another one
    for weights, gradient, turn in zip(ours.weights, ours.gradient, starts(4, k=10), strict=True):
        theirs = reference(whitened, weights + 1e-4 * turn, contrast, first_steps=None)
        assert gradient < max(1e-8, largest_gradient(Derivative(whitened, contrast), theirs).item())
        assert (weights @ theirs[0].T).abs().amax(dim=1).min() > 0.9999
