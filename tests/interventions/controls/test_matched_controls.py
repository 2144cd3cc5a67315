import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_targets import random_target, target_of

from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls import draw
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.target import OUTSIDE

KINDS = [ControlKind.random, ControlKind.per_block, ControlKind.activation]
MATCHED = [ControlKind.per_block, ControlKind.activation]


def draw_controls(target, repeats, seed, share=None, keystones=None, kinds=KINDS):
    """Controls of a target by kind, of the kinds that are as many neurons."""
    original = Original(target, keystones=keystones)
    return draw.draw_controls(original, ControlsConfig(kinds, repeats, seed, share)).by_kind


def skewed_target(n_blocks=4, width=100, members_per_block=10):
    """Members are the most active neurons of each block but every second, activity is very skewed."""
    activity = torch.cat([torch.linspace(0, 8, width).exp() for _ in range(n_blocks)])
    labels = torch.full((n_blocks * width,), OUTSIDE)
    for block in range(n_blocks):
        top = (block + 1) * width - 1 - 2 * torch.arange(members_per_block)
        labels[top] = 0
    return target_of(labels, [width] * n_blocks, activity)


def per_network_and_block(labels, layout):
    return [
        [int((labels[block.columns] == network).sum()) for block in layout.blocks]
        for network in range(int(labels.max()) + 1)
    ]


def drawn_labels(controls):
    return {kind: [each.target.labels.tolist() for each in found] for kind, found in controls.items()}


masks = st.builds(
    random_target,
    seed=st.integers(0, 10_000),
    widths=st.lists(st.integers(1, 12), min_size=1, max_size=5).filter(lambda widths: sum(widths) >= 2),
    share=st.floats(0.0, 0.5),
    n_networks=st.integers(1, 3),
)


@settings(max_examples=150, deadline=None)
@given(target=masks, seed=st.integers(0, 1000))
def test_no_control_holds_a_member_and_every_network_keeps_its_size(target, seed):
    controls = draw_controls(target, repeats=2, seed=seed)
    assert list(controls) == KINDS
    sizes = torch.bincount(target.labels[target.members])
    for drawn in (each.target for found in controls.values() for each in found):
        assert not (drawn.members & target.members).any()
        assert torch.bincount(drawn.labels[drawn.members]).tolist() == sizes.tolist()
        assert drawn.labels.min() >= OUTSIDE
        assert (drawn.networks, drawn.layout) == (target.networks, target.layout)


@settings(max_examples=150, deadline=None)
@given(target=masks, seed=st.integers(0, 1000))
def test_matched_controls_fill_each_block_as_far_as_it_has_free_neurons(target, seed):
    blocks = target.layout.blocks
    members = [int(target.members[block.columns].sum()) for block in blocks]
    free = [block.width - count for block, count in zip(blocks, members, strict=True)]
    fitting = sum(map(min, members, free))
    for kind in MATCHED:
        (control,) = draw_controls(target, repeats=1, seed=seed)[kind]
        drawn = [int(control.target.members[block.columns].sum()) for block in blocks]
        assert control.same_block == pytest.approx(fitting / target.size)
        assert all(count >= min(pair) for count, *pair in zip(drawn, members, free, strict=True))


@pytest.mark.parametrize("kind", MATCHED)
def test_matched_controls_have_as_many_of_each_network_in_each_block(kind):
    target = random_target(seed=3, widths=[40, 10, 25], share=0.2)
    for control in draw_controls(target, repeats=3, seed=0)[kind]:
        assert per_network_and_block(control.target.labels, target.layout) == per_network_and_block(
            target.labels, target.layout
        )
        assert control.same_block == 1


@pytest.mark.parametrize("kind", MATCHED)
def test_the_nearest_block_stands_in_where_too_few_neurons_are_free(kind):
    # of 10 neurons each: 7, 2, 0, 0 members, so that 4 of the first 7 have to go to the second block
    labels = torch.full((40,), OUTSIDE)
    labels[:7] = 0
    labels[10:12] = 0
    target = target_of(labels, [10] * 4)
    for control in draw_controls(target, repeats=5, seed=0)[kind]:
        assert [int(each.sum()) for each in control.target.members.split(10)] == [3, 6, 0, 0]
        assert control.same_block == pytest.approx(5 / 9)


@pytest.mark.parametrize("kind", MATCHED)
def test_who_stands_in_takes_no_place_that_the_block_needs_itself(kind):
    # the second block has as many free neurons as members: the first block's must go on to the third
    labels = torch.full((40,), OUTSIDE)
    labels[:8] = 0
    labels[10:15] = 1
    target = target_of(labels, [10] * 4)
    for control in draw_controls(target, repeats=5, seed=0)[kind]:
        assert per_network_and_block(control.target.labels, target.layout) == [[2, 0, 6, 0], [0, 5, 0, 0]]


def test_random_controls_ignore_the_blocks():
    labels = torch.full((400,), OUTSIDE)
    labels[:50] = 0
    controls = draw_controls(target_of(labels, [100] * 4), repeats=20, seed=0)[ControlKind.random]
    in_block = torch.stack([each.target.members for each in controls]).sum(dim=0)
    counts = [int(each.sum()) for each in in_block.split(100)]
    # 20 draws of 50 among 50 + 3 × 100 free neurons
    assert counts == pytest.approx([143, 286, 286, 286], abs=40)
    assert sum(each.same_block for each in controls) / 20 == pytest.approx(1 / 7, abs=0.05)


def test_activation_matched_neurons_are_about_as_active_where_block_matched_ones_are_not():
    target = skewed_target()
    own = target.mean_absolute()[target.members].mean()
    controls = draw_controls(target, repeats=10, seed=0)

    def distance(kind):
        return max(
            float((own - each.target.mean_absolute()[each.target.members].mean()).abs() / own)
            for each in controls[kind]
        )

    assert distance(ControlKind.activation) < 0.35
    assert distance(ControlKind.per_block) > 0.5
    assert distance(ControlKind.activation) < 0.5 * distance(ControlKind.per_block)


def test_the_activity_ratio_tells_that_the_most_active_neuron_has_no_match():
    # one neuron with half of all activity, which is the network
    keystone = target_of([OUTSIDE] * 9 + [0], [10], torch.tensor([1.0] * 9 + [9.0]))
    (alone,) = draw_controls(keystone, 1, seed=0)[ControlKind.activation]
    assert alone.activity_ratio == pytest.approx(1 / 9)
    both = target_of([OUTSIDE] * 8 + [0, 0], [10], torch.tensor([1.0] * 8 + [1.0, 9.0]))
    (pair,) = draw_controls(both, 1, seed=0)[ControlKind.activation]
    assert pair.activity_ratio == pytest.approx(2 / 10)


def test_neurons_without_any_activity_are_matched_too():
    labels = torch.full((40,), OUTSIDE)
    labels[:5] = 0
    target = target_of(labels, [20, 20], torch.zeros(40))
    for control in draw_controls(target, repeats=2, seed=0)[ControlKind.activation]:
        assert [int(each.sum()) for each in control.target.members.split(20)] == [5, 0]


def test_draws_differ_and_vary_widely():
    target = random_target(seed=1, widths=[50] * 4, share=0.1)
    for found in draw_controls(target, repeats=20, seed=0).values():
        assert len({tuple(each.target.labels.tolist()) for each in found}) == 20


def test_the_same_seed_draws_the_same_and_another_seed_draws_others():
    target = random_target(seed=1, widths=[50] * 4, share=0.1)
    first, again, other = (drawn_labels(draw_controls(target, 2, seed)) for seed in (5, 5, 6))
    assert first == again
    for kind in KINDS:
        assert not any(labels in first[kind] for labels in other[kind])


def test_more_repeats_extend_the_list():
    target = random_target(seed=1, widths=[50] * 4, share=0.1)
    few, many = (drawn_labels(draw_controls(target, repeats, seed=0)) for repeats in (2, 5))
    assert {kind: labels[:2] for kind, labels in many.items()} == few


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    draw_controls(random_target(seed=1, widths=[20], share=0.1), repeats=1, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_kinds_draw_independently():
    """Also with neighbouring seeds no kind repeats what another one drew."""
    target = random_target(seed=1, widths=[200], share=0.1)
    drawn = [
        tuple(labels)
        for seed in range(5)
        for each in drawn_labels(draw_controls(target, 2, seed)).values()
        for labels in each
    ]
    assert len(set(drawn)) == len(drawn) == 30


@settings(max_examples=50, deadline=None)
@given(target=masks, share=st.floats(0.01, 0.5))
def test_a_share_of_all_neurons_is_drawn_anywhere_outside_whatever_the_networks_size(target, share):
    drawn = draw_controls(target, repeats=2, seed=0, share=share)
    assert {kind: found for kind, found in drawn_labels(drawn).items() if kind in KINDS} == drawn_labels(
        draw_controls(target, repeats=2, seed=0)
    )
    n_neurons = target.layout.n_neurons
    for control in drawn[ControlKind.share]:
        assert control.target.size == min(max(1, round(share * n_neurons)), n_neurons - target.size)
        assert not (control.target.members & target.members).any()
        own = set(target.labels[target.members].tolist())
        assert set(control.target.labels[control.target.members].tolist()) <= own


@pytest.mark.parametrize(
    ("repeats", "share", "said"),
    [
        (0, None, "repeats is 0"),
        (1, 0, "share is 0"),
        (1, 0.6, r"share is 0\.6"),
        (1, float("nan"), "share is nan"),
    ],
)
def test_settings_out_of_range_are_refused(repeats, share, said):
    with pytest.raises(ConfigError, match=said):
        ControlsConfig(repeats=repeats, share=share)


def test_networks_with_more_than_half_of_all_neurons_have_no_control(caplog):
    labels = torch.full((20,), OUTSIDE)
    labels[:10] = 0
    half = draw_controls(target_of(labels, [10, 10]), repeats=1, seed=0)
    for (control,) in half.values():
        assert control.target.members.tolist() == [False] * 10 + [True] * 10
    labels[10] = 0
    original = Original(target_of(labels, [10, 10]))
    drawn = draw.draw_controls(original, ControlsConfig([ControlKind.random], repeats=1, share=0.15))
    assert list(drawn.by_kind) == [ControlKind.share]
    said = "the networks hold 11 of 20 neurons, which leaves 9 to draw from"
    assert drawn.remarks == (f"No random controls: {said}.",)
    assert said in caplog.text


@settings(max_examples=50, deadline=None)
@given(target=masks, seed=st.integers(0, 1000), barred=st.integers(0, 20))
def test_no_control_holds_a_keystone(target, seed, barred):
    free = (~target.members).nonzero()[:, 0]
    keystones = torch.zeros(len(target.labels), dtype=torch.bool)
    keystones[free[: min(barred, len(free) - target.size)]] = True
    drawn = draw_controls(target, repeats=1, seed=seed, share=0.5, keystones=keystones)
    kinds = [*KINDS, ControlKind.share]
    assert [kind for kind in kinds if kind in drawn] == [
        kind for kind in kinds if kind is not ControlKind.share or (~target.members & ~keystones).any()
    ]
    for (control,) in drawn.values():
        assert not (control.target.members & (keystones | target.members)).any()


def test_other_kinds_change_nothing():
    target = random_target(seed=1, widths=[50] * 4, share=0.1)
    together = drawn_labels(draw_controls(target, repeats=3, seed=0, share=0.1))
    for kind in KINDS:
        assert drawn_labels(draw_controls(target, 3, 0, kinds=[kind]))[kind] == together[kind]


def test_the_target_is_left_as_it_was():
    target = random_target(seed=1, widths=[30, 30], share=0.3)
    before = target.labels.clone()
    draw_controls(target, repeats=2, seed=0)
    assert torch.equal(target.labels, before)


def test_a_draw_of_5000_neurons_takes_well_under_a_second():
    target = random_target(seed=1, widths=[576] * 30, share=5000 / (30 * 576))
    started = time.process_time()
    draw_controls(target, repeats=1, seed=0)
    assert time.process_time() - started < 2  # for all kinds; measured: 0.1 s


def test_a_share_holds_members_of_networks_only_if_it_may():
    target = random_target(0, [100] * 3, share=0.5)
    original = Original(target)
    for members in (False, True):
        settings = ControlsConfig([], 20, 0, 0.4, members)
        drawn = draw.draw_controls(original, settings).by_kind[ControlKind.share]
        held = torch.stack([(each.target.members & target.members).sum() for each in drawn])
        sizes = {int(each.target.members.sum()) for each in drawn}
        assert sizes == {120}
        assert (held > 0).all() == members
        # as many as their share of all neurons
        assert abs(held.double().mean() - 60 * members) < 5
