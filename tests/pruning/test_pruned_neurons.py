"""As many neurons as the ratio says, those of least importance, and none of spared blocks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.core.errors import PruningError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.pruning.config import Allocation, PruningConfig
from fbn_exp.pruning.selection import select, spared_blocks


def layout_of(widths):
    return NeuronLayout.of(Site.mlp_hidden, [f"b.{index}" for index in range(len(widths))], widths)


widths = st.lists(st.integers(4, 40), min_size=1, max_size=5)
ratios = st.floats(0, 0.7)
seeds = st.integers(0, 1000)


@given(widths, ratios, seeds, st.sampled_from(Allocation))
def test_kept_are_those_above_the_threshold_and_the_ratio_is_exact(widths, ratio, seed, allocation):
    layout = layout_of(widths)
    importance = torch.randperm(layout.n_neurons, generator=torch.Generator().manual_seed(seed)).double()
    chosen = select(importance, layout, (), PruningConfig(ratio=ratio, allocation=allocation))
    wanted = round(ratio * layout.n_neurons)
    if allocation is Allocation.threshold:
        assert int(chosen.pruned.sum()) == wanted
    for block, left, limit in zip(layout.blocks, chosen.widths, chosen.thresholds, strict=True):
        mine = importance[block.columns]
        if allocation is Allocation.equal:
            assert block.width - left == round(wanted / layout.n_neurons * block.width)
        assert left >= 1
        assert torch.equal(~chosen.pruned[block.columns], mine > (-1 if limit is None else limit))


@given(st.integers(0, 30), seeds)
def test_of_equal_neurons_exactly_as_many_are_pruned(count, seed):
    layout = layout_of([32])
    importance = torch.randint(0, 3, (32,), generator=torch.Generator().manual_seed(seed)).double()
    chosen = select(importance, layout, (), PruningConfig(ratio=count / 32))
    assert int(chosen.pruned.sum()) == count
    if 0 < count < 32:
        assert importance[chosen.pruned].max() <= importance[~chosen.pruned].min()


def test_of_a_small_block_beside_a_large_one_a_neuron_is_left():
    chosen = select(torch.rand(44).double(), layout_of([4, 40]), (), PruningConfig(ratio=0.95))
    assert min(chosen.widths) == 1


def test_one_threshold_prunes_where_importance_is_low():
    layout = layout_of([8, 8])
    importance = torch.cat([torch.arange(8) + 100.0, torch.arange(8) + 0.0]).double()
    chosen = select(importance, layout, (), PruningConfig(ratio=7 / 16, allocation=Allocation.threshold))
    assert chosen.widths == [8, 1]


def test_spared_blocks_keep_all_and_the_others_make_up_for_them():
    chosen = select(torch.rand(64).double(), layout_of([16] * 4), (0, 3), PruningConfig(ratio=0.25))
    assert chosen.widths == [16, 8, 8, 16]
    assert chosen.ratio == 0.25
    assert chosen.thresholds[0] is None


@pytest.mark.parametrize(
    ("depth", "spared"), [(32, (0, 1, 2, 30, 31)), (30, (0, 1, 2, 28, 29)), (12, (0, 11)), (4, ())]
)
def test_as_many_blocks_are_spared_as_in_the_paper_in_proportion(depth, spared):
    assert spared_blocks(depth, None, None) == spared


def test_sparing_every_block_and_pruning_more_than_there_is_are_refused():
    with pytest.raises(PruningError, match=r"prune\.spared_first=2 and prune\.spared_last=2"):
        spared_blocks(4, 2, 2)
    with pytest.raises(PruningError, match=r"prune\.ratio is 0\.6: 38 of 64 neurons"):
        select(torch.rand(64), layout_of([16] * 4), (0, 1), PruningConfig(ratio=0.6))
