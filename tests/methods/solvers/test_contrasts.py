"""Contrasts, their derivatives, and negentropy."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.solvers import contrasts
from fbn_exp.methods.solvers.contrasts import DERIVATIVES, GAUSSIAN_EXPECTATION, Derivative, negentropy

every_contrast = pytest.mark.parametrize("contrast", list(Contrast))


# G, differentiable
FUNCTIONS = {
    Contrast.logcosh: lambda y: torch.log(torch.cosh(y)),
    Contrast.exp: lambda y: -torch.exp(-y * y / 2),
    Contrast.cube: lambda y: y**4 / 4,
}


@every_contrast
def test_derivatives_are_those_of_the_function(contrast):
    y = torch.linspace(-3, 3, 7).double()[:, None].requires_grad_()
    (first,) = torch.autograd.grad(FUNCTIONS[contrast](y).sum(), y, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), y)
    g, slope = DERIVATIVES[contrast](y.detach().clone())
    torch.testing.assert_close(g, first.detach(), atol=1e-12, rtol=0)
    torch.testing.assert_close(slope, second[:, 0], atol=1e-12, rtol=0)


@every_contrast
def test_negentropys_function_is_that_of_the_iterations(contrast):
    y = torch.linspace(-3, 3, 61).double()[:, None]
    # a source of one token at y has E G(y) = G(y); its distance from the Gaussian's, squared
    exact = (FUNCTIONS[contrast](y) - GAUSSIAN_EXPECTATION[contrast]).square()
    torch.testing.assert_close(negentropy(y, contrast), exact[:, 0], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("contrast", "function"),
    [
        (Contrast.logcosh, lambda y: np.logaddexp(y, -y) - np.log(2)),
        (Contrast.exp, lambda y: -np.exp(-y * y / 2)),
        (Contrast.cube, lambda y: y**4 / 4),
    ],
)
def test_the_gaussian_expectation_is_its_integral(contrast, function):
    integral, _ = quad(lambda y: function(y) * norm.pdf(y), -15, 15, epsabs=1e-13)
    assert GAUSSIAN_EXPECTATION[contrast] == pytest.approx(integral, abs=1e-10)


@every_contrast
def test_negentropy_tells_gaussian_uniform_and_laplacian_sources_apart(contrast):
    rng = np.random.default_rng(0)
    sources = torch.from_numpy(
        np.stack([rng.standard_normal(200_000), rng.uniform(size=200_000), rng.laplace(size=200_000)])
    )
    sources = (sources - sources.mean(dim=1, keepdim=True)) / sources.std(dim=1, keepdim=True)
    gaussian, uniform, laplacian = negentropy(sources, contrast)
    assert 0 <= gaussian < uniform / 50
    assert uniform < laplacian


@every_contrast
@pytest.mark.parametrize("values", [1, 100, 2**18])
def test_chunks_of_samples_do_not_change_the_derivatives(contrast, values, monkeypatch):
    monkeypatch.setattr(contrasts, "CHUNK_VALUES", values)
    generator = torch.Generator().manual_seed(0)
    whitened = torch.randn(4, 53, generator=generator, dtype=torch.float64)
    weights = torch.randn(3, 4, 4, generator=generator, dtype=torch.float64)
    product, slope = Derivative(whitened, contrast)(weights)
    for start in range(3):
        y = (weights[start] @ whitened).requires_grad_()
        (g,) = torch.autograd.grad(FUNCTIONS[contrast](y).sum(), y, create_graph=True)
        (second,) = torch.autograd.grad(g.sum(), y)
        torch.testing.assert_close(product[start], g.detach() @ whitened.T / 53, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(slope[start], second.mean(dim=1), atol=1e-10, rtol=1e-10)


def test_log_cosh_of_extreme_sources_does_not_overflow():
    y = torch.tensor([[-1e4, -50.0, 0.0, 50.0, 1e4]])
    g, slope = DERIVATIVES[Contrast.logcosh](y)
    assert g.tolist() == [[-1, -1, 0, 1, 1]]
    assert slope.item() == 1
