"""Controls of equal energy: as many other neurons of the same blocks as it takes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_statistics import stated
from planted_targets import original_of, random_target, target_of

from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.controls.expected import expected_energy
from fbn_exp.interventions.rules import Inhibit, Preserve, Scale
from fbn_exp.interventions.target import OUTSIDE, Target


def drawn(original, repeats=5, seed=0):
    return draw_controls(original, ControlsConfig([ControlKind.energy], repeats, seed))


def controls_of(original, repeats=5, seed=0):
    found = drawn(original, repeats, seed)
    assert all(said.startswith("Controls of equal energy take") for said in found.remarks)
    return found.by_kind[ControlKind.energy]


def two_loud_members(n_blocks=2, width=50):
    """Two members of energy 10 in each block, whose other neurons have 1 each."""
    square = torch.ones(n_blocks * width)
    labels = torch.full((n_blocks * width,), OUTSIDE)
    for block in range(n_blocks):
        labels[block * width : block * width + 2] = 0
        square[block * width : block * width + 2] = 10
    return original_of(target_of(labels, [width] * n_blocks), square)


def test_quieter_neurons_are_drawn_until_they_have_as_much_energy_together():
    for control in controls_of(two_loud_members()):
        # 20 of energy 1 in place of 2 of energy 10, in each block
        assert [int(each.sum()) for each in control.target.members.split(50)] == [20, 20]
        assert control.energy_ratio == pytest.approx(1)
        assert control.same_block == 1


def test_what_a_block_cannot_provide_comes_from_the_nearest_one():
    original = two_loud_members(n_blocks=3)
    labels = torch.full((150,), OUTSIDE)
    labels[:2] = 0
    square = torch.ones(150)
    square[:2] = 29
    original = original_of(target_of(labels, [50] * 3), square)
    for control in controls_of(original):
        # 48 are free in the block, 10 more in the next
        assert [int(each.sum()) for each in control.target.members.split(50)] == [48, 10, 0]
        assert control.same_block == pytest.approx(48 / 58)


def test_as_many_are_drawn_where_members_are_quieter_than_the_others():
    square = torch.cat([torch.full((10,), 1.0), torch.full((45,), 1.0), torch.full((45,), 100.0)])
    labels = torch.full((100,), OUTSIDE)
    labels[:10] = 0
    for control in controls_of(original_of(target_of(labels, [100]), square)):
        assert control.target.size == 10
        assert control.energy_ratio == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n_blocks=st.integers(1, 4), spread=st.floats(0, 2))
def test_the_energy_of_random_targets_is_matched_within_a_few_per_cent(seed, n_blocks, spread):
    target = random_target(seed, [200] * n_blocks, share=0.05)
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(200 * n_blocks, generator=generator).mul(spread).exp()
    found = drawn(original_of(target, square), repeats=3, seed=seed)
    for control in found.by_kind.get(ControlKind.energy, []):
        own, other = square[target.members].sum(), square[control.target.members].sum()
        assert control.energy_ratio == pytest.approx(float(other / own), rel=1e-5)
        assert 0.95 < control.energy_ratio < 1.05
        assert not (control.target.members & target.members).any()
    free = square[~target.members].sum()
    if free > 3 * square[target.members].sum() and spread < 1:
        assert found.remarks == ()


def test_it_is_said_when_a_draw_takes_far_more_neurons():
    labels = torch.full((200,), OUTSIDE)
    labels[0] = 0
    square = torch.ones(200)
    square[0] = 30
    (said,) = drawn(original_of(target_of(labels, [100, 100]), square)).remarks
    assert said == "Controls of equal energy take 30 neurons on average, where the networks have 1."


def test_draws_differ_widely():
    first, second, *_ = controls_of(two_loud_members(width=200))
    both = (first.target.members & second.target.members).sum()
    assert both / (first.target.members | second.target.members).sum() < 0.3


def test_a_target_that_holds_most_of_the_energy_has_no_equal_and_that_is_said():
    labels = torch.full((100,), OUTSIDE)
    labels[0] = 0
    square = torch.ones(100)
    square[0] = 9900
    found = drawn(original_of(target_of(labels, [100]), square))
    assert found.by_kind == {}
    (said,) = found.remarks
    assert said.startswith(
        "No energy controls: all other neurons together hold 0.01 times the energy that the intervention "
        "removes, and draws that differ need 2 times"
    )


def test_neurons_that_do_not_add_up_are_no_control():
    labels = torch.full((11,), OUTSIDE)
    labels[0] = 0
    square = torch.full((11,), 3.0)
    square[0] = 4.0
    (said,) = drawn(original_of(target_of(labels, [11]), square)).remarks
    assert "drawn neurons have 0.75 times the energy of the networks'" in said


def test_a_factor_for_each_network_counts_for_the_energy():
    labels = torch.full((200,), OUTSIDE)
    labels[:4], labels[100:104] = 0, 1
    original = original_of(target_of(labels, [100, 100]), torch.ones(200), Scale([0, 1], [0.0, 0.5]))
    own = (1 - original.intervention.edit(original.target).scale).square().sum()
    assert own == 4 * 1 + 4 * 0.25
    for control in controls_of(original):
        assert (1 - control.edit(original.intervention).scale).square().sum() == own
        assert [int(each.sum()) for each in control.target.members.split(100)] == [4, 4]


def test_what_is_kept_is_matched_where_all_else_is_removed():
    original = two_loud_members()
    kept = original_of(original.target, original.neuron_energy(Scale().edit(original.target)) + 1, Preserve())
    for control in controls_of(kept):
        assert control.target.members[original.target.members].sum() == 0
        assert control.energy_ratio == pytest.approx(1, abs=0.01)


def test_unknown_energy_leaves_the_kind_out():
    target = random_target(0, [50], 0.1)
    (said,) = drawn(Original(target)).remarks
    assert said == ("No energy controls: the energy of neurons is not known: no activations were sampled.")


def test_more_repeats_extend_the_list_and_keystones_are_not_drawn():
    original = two_loud_members()
    few, many = controls_of(original, 2), controls_of(original, 4)
    for one, other in zip(few, many, strict=False):
        assert torch.equal(one.target.labels, other.target.labels)
    keystones = torch.zeros(100, dtype=torch.bool)
    keystones[10:20] = True
    barred = original_of(
        original.target,
        original.neuron_energy(Preserve().edit(original.target)) + 10 * original.target.members,
        keystones=keystones,
    )
    for control in controls_of(barred):
        assert not (control.target.members & keystones).any()


@pytest.mark.parametrize(("tokens", "drawn_neurons"), [("first_only", 5), ("first_spared", 20)])
def test_energy_is_matched_at_the_tokens_that_are_edited(tokens, drawn_neurons):
    """A member of energy 25 at first tokens and 20 at the others; 10 others fire at first tokens
    alone, with 5 each, and 50 at the others alone, with 1 each."""
    at_first = torch.tensor([5.0, *[5**0.5] * 10, *[0.0] * 50])
    at_others = torch.tensor([20.0**0.5, *[0.0] * 10, *[1.0] * 50])
    plain = target_of([0] + [OUTSIDE] * 60, [61])
    statistics = StatisticsByToken(stated(at_first, n_tokens=1), stated(at_others, n_tokens=9))
    target = Target(plain.networks, plain.labels, plain.layout, statistics)
    lesion = Inhibit(tokens=tokens)
    for control in controls_of(Original(target, lesion, neuron_energy=expected_energy(lesion, target))):
        loud = statistics.first if tokens == "first_only" else statistics.others
        assert int((loud.mean_square[control.target.members] > 0).sum()) == drawn_neurons
        assert control.energy_ratio == pytest.approx(1)
