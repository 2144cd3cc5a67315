"""The refitted temperature against a direct search."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from fbn_exp.benchmarks.divergence.temperature import INVERSE_TEMPERATURES, Exponentials, refitted


def world(scale, agreement, seed=0, tokens=40, vocabulary=300):
    """Logits of some spread, and targets that are the most likely token as often as asked for."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(tokens, vocabulary, generator=generator)
    agree = torch.rand(tokens, generator=generator) < agreement
    anywhere = torch.randint(vocabulary, (tokens,), generator=generator)
    return logits, torch.where(agree, logits.argmax(dim=1), anywhere)


def loss_curve(logits, targets):
    return Exponentials.of(logits).curve(targets).sum(dim=0)


def loss(logits, targets, inverse):
    logits = inverse * logits.double()
    return float((logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]).sum())


@settings(max_examples=40)
@given(scale=st.floats(0.01, 60), agreement=st.sampled_from([0.0, 0.2, 0.9, 1.0]), seed=st.integers(0, 1_000))
def test_the_loss_is_the_smallest_of_any_temperature(scale, agreement, seed):
    logits, targets = world(scale, agreement, seed)
    texts = [slice(0, 10), slice(10, 40)]
    curves = np.stack([loss_curve(logits[rows], targets[rows]).numpy() for rows in texts])
    before = np.array([loss(logits[rows], targets[rows], 1.0) for rows in texts])
    inverse, after = refitted(curves, before)
    smallest = minimize_scalar(
        lambda candidate: loss(logits, targets, candidate),
        bounds=(0, 4),
        method="bounded",
        options={"xatol": 1e-9},
    )
    tokens = len(targets)
    assert after.sum() / tokens == pytest.approx(smallest.fun / tokens, abs=1e-3)
    assert after == pytest.approx([loss(logits[rows], targets[rows], inverse) for rows in texts], abs=2e-2)
    assert after.sum() <= before.sum()
    assert after.sum() <= tokens * math.log(logits.shape[1]) + 1e-6


def test_values_and_derivatives_are_those_of_automatic_differentiation():
    logits, targets = world(3.0, 0.5)
    curve = loss_curve(logits, targets)
    for row, value in zip(curve, INVERSE_TEMPERATURES, strict=True):
        inverse = torch.tensor(value, requires_grad=True)
        scaled = inverse * logits.double()
        total = (scaled.logsumexp(1) - scaled.gather(1, targets[:, None])[:, 0]).sum()
        (first,) = torch.autograd.grad(total, inverse, create_graph=True)
        (second,) = torch.autograd.grad(first, inverse)
        assert row.tolist() == pytest.approx([total.item(), first.item(), second.item()], rel=1e-4, abs=1e-3)


def test_a_model_at_its_best_temperature_keeps_its_loss():
    logits, targets = world(2.0, 0.5)
    best = minimize_scalar(lambda inverse: loss(logits, targets, inverse), bounds=(0, 4), method="bounded").x
    logits = (best * logits).float()
    before = np.array([loss(logits, targets, 1.0)])
    _, after = refitted(loss_curve(logits, targets).numpy()[None], before)
    assert after == pytest.approx(before, abs=1e-3)


def test_a_loss_that_is_no_number_has_no_temperature():
    logits, targets = world(1.0, 0.5)
    logits[3] = math.nan
    inverse, after = refitted(loss_curve(logits, targets).numpy()[None], np.array([math.nan]))
    assert math.isnan(inverse)
    assert np.isnan(after).all()
