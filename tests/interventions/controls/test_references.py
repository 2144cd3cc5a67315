"""References: the neurons of largest energy or attribution, without chance."""

import torch
from planted_targets import original_of, target_of

from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.rules import Scale
from fbn_exp.interventions.target import OUTSIDE


def drawn(original, kind):
    (control,) = draw_controls(original, ControlsConfig([kind], repeats=7)).by_kind[kind]
    return control.target.labels.tolist()


def test_top_energy_is_the_neurons_of_largest_mean_square_members_among_them():
    target = target_of([0, OUTSIDE, OUTSIDE, 0, OUTSIDE, OUTSIDE], [3, 3])
    original = original_of(target, [5.0, 1.0, 7.0, 2.0, 6.0, 3.0])
    assert drawn(original, ControlKind.top_energy) == [OUTSIDE, OUTSIDE, 0, OUTSIDE, 0, OUTSIDE]
    original = original_of(target, [5.0, 1.0, 7.0, 2.0, 4.0, 3.0])
    assert drawn(original, ControlKind.top_energy) == [0, OUTSIDE, 0, OUTSIDE, OUTSIDE, OUTSIDE]


def test_the_strongest_stand_for_the_strongest_members():
    target = target_of([1, OUTSIDE, 0, OUTSIDE, OUTSIDE], [5])
    original = original_of(target, [2.0, 9.0, 1.0, 3.0, 0.0], Scale([0, 1], [0.5, 0.5]))
    assert drawn(original, ControlKind.top_energy) == [OUTSIDE, 1, OUTSIDE, 0, OUTSIDE]


def test_a_keystone_is_no_reference():
    target = target_of([0, OUTSIDE, OUTSIDE, OUTSIDE], [4])
    keystones = torch.tensor([True, True, False, False])
    original = original_of(target, [9.0, 8.0, 1.0, 2.0], keystones=keystones)
    assert drawn(original, ControlKind.top_energy) == [OUTSIDE, OUTSIDE, OUTSIDE, 0]


def test_attribution_is_asked_for_once_and_only_if_it_is_wanted():
    asked = []

    def attribution():
        asked.append(True)
        return torch.tensor([1.0, 4.0, 3.0, 2.0])

    target = target_of([0, OUTSIDE, 0, OUTSIDE], [2, 2])
    original = original_of(target, torch.ones(4), attribution=attribution)
    assert drawn(original, ControlKind.attribution) == [OUTSIDE, 0, 0, OUTSIDE]
    drawn(original, ControlKind.top_energy)
    assert len(asked) == 1


def test_what_is_not_known_leaves_a_reference_out():
    target = target_of([0, OUTSIDE, OUTSIDE], [3])
    kinds = [ControlKind.attribution, ControlKind.noise]
    found = draw_controls(original_of(target, torch.ones(3)), ControlsConfig(kinds, repeats=1))
    assert list(found.by_kind) == [ControlKind.noise]
    assert found.remarks == (
        "No attribution controls: attribution needs a model, and texts for a backward pass.",
    )
