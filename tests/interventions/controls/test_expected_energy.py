"""The energy of an affine edit from statistics is that on the activations themselves."""

import torch
from planted_targets import target_of

from fbn_exp.core.moments import StatisticsByToken, signal_statistics
from fbn_exp.interventions.controls.expected import expected_energy
from fbn_exp.interventions.controls.noise import NoiseEdit
from fbn_exp.interventions.edit import AffineEdit
from fbn_exp.interventions.rules import Inhibit
from fbn_exp.interventions.target import OUTSIDE, Target


def test_it_is_the_mean_square_of_the_change():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator) * 2 + 1
    first = torch.arange(40) % 10 == 0
    plain = target_of([0, OUTSIDE, OUTSIDE, OUTSIDE], [4])
    target = Target(plain.networks, plain.labels, plain.layout, signal_statistics(x, first).by_token)
    energy = expected_energy(Inhibit(), target)
    scale, shift, first_scale, first_shift = torch.randn(4, 4, generator=generator)
    for edit in (
        AffineEdit(scale, shift),
        AffineEdit(scale, shift, first_scale, first_shift),
        AffineEdit(scale, shift, torch.ones(4), torch.zeros(4)),
        Inhibit().edit(target),
    ):
        at_first = (
            edit.scale if edit.first_scale is None else edit.first_scale,
            edit.shift if edit.first_shift is None else edit.first_shift,
        )
        changed = torch.where(first[:, None], at_first[0] * x + at_first[1], edit.scale * x + edit.shift)
        expected = (changed - x).double().square().mean(dim=0)
        torch.testing.assert_close(energy(edit), expected, rtol=1e-5, atol=1e-6)


def test_an_edit_that_is_not_affine_has_none():
    target = target_of([0, OUTSIDE], [2])

    class Noisy(Inhibit):
        def edit(self, target):
            return NoiseEdit(super().edit(target), target.layout, torch.ones(2, dtype=torch.bool), 0)

    assert expected_energy(Noisy(), target) is None


def test_places_are_unknown_where_first_tokens_were_not_recorded_apart():
    plain = target_of([0, OUTSIDE], [2])
    statistics = StatisticsByToken(None, plain.statistics.others)
    target = Target(plain.networks, plain.labels, plain.layout, statistics)
    assert expected_energy(Inhibit(), target) is not None
    assert expected_energy(Inhibit(tokens="first_only"), target) is None
    assert expected_energy(Inhibit(tokens="first_spared"), target) is None
