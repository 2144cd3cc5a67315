import numpy as np
import pytest
import torch
from planted import plant, plant_maps
from scipy.stats import kstest

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.config import Independence, Solver
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.random import RandomRotation, random_rotations
from fbn_exp.networks.matching import aligned
from fbn_exp.reliability.split_half import Turns, split_half
from fbn_exp.thresholds.z import ZThreshold

TEXTS = Rows((100,) * 20)
MEMBERS = ZThreshold(1.96).masks


def test_planted_networks_agree_beyond_rotations_and_others_do_not():
    signals, _ = plant(2000, 300, 5, noise=0.3)
    planted = split_half(ICA(5), signals, TEXTS, MEMBERS, splits=3, rotations=99)
    assert planted.correlation.min() > 0.95
    assert planted.p_value.tolist() == pytest.approx([2 / 100] * 5)
    assert planted.cosines.min() > 0.99
    assert (planted.null_mean < planted.null_95).all()
    assert (planted.null_95 < planted.correlation).all()
    turned = split_half(RandomRotation(5), signals, TEXTS, MEMBERS, rotations=99)
    assert turned.p_value.min() > 0.05


def test_spatially_independent_networks_are_turned_as_maps():
    signals, _ = plant_maps(2000, 600, 4, noise=0.3)
    method = ICA(4, independence=Independence.spatial)
    found = split_half(method, signals, TEXTS, MEMBERS, rotations=99)
    assert found.correlation.min() > 0.9
    assert found.p_value.max() <= 0.05


def test_p_of_noise_is_uniform_for_one_split_and_no_smaller_for_several():
    one, several = [], []
    method = ICA(4, solver=Solver.fastica, max_iterations=15, max_starts=1)
    for seed in range(60):
        noise = torch.randn(300, 40, generator=torch.Generator().manual_seed(seed))
        texts = Rows((30,) * 10)
        one.append(split_half(method, noise, texts, MEMBERS, rotations=99, seed=seed).p_value.tolist())
        if seed < 15:
            halves = split_half(method, noise, texts, MEMBERS, splits=3, rotations=99, seed=seed)
            several.append(halves.p_value.tolist())
    # networks of one data set depend on one another: a network of each
    assert kstest(np.array(one)[:, 0], "uniform").pvalue > 0.05
    assert 0.01 < np.mean(np.array(one) <= 0.05) < 0.09
    assert np.mean(np.array(several) <= 0.05) < 0.05


def test_turned_networks_are_matched_and_compared_as_if_their_maps_were_there():
    rng = torch.Generator().manual_seed(0)
    first, second, reported = torch.randn(3, 4, 50, generator=rng, dtype=torch.float64)
    turns = Turns.of(first, second, reported, in_units=True)
    a, b = random_rotations(2, 4, rng)
    r, (ours, theirs) = turns.agreement(a, b)
    expected = [np.corrcoef((a @ first)[i], (b @ second)[j])[0, 1] for i, j in zip(ours, theirs, strict=True)]
    assert r == pytest.approx(np.abs(expected))
    straight, _ = turns.agreement(torch.eye(4).double(), torch.eye(4).double())
    same, _ = Turns.of(first, first, first, in_units=False).agreement(*torch.eye(4).double().repeat(2, 1, 1))
    assert same == pytest.approx(1)
    assert straight.max() < 0.6


def test_rotations_are_orthogonal_and_without_a_preferred_direction():
    drawn = random_rotations(2000, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn @ drawn.mT, torch.eye(3).double().expand(2000, 3, 3))
    assert drawn.mean(dim=0).abs().max() < 0.05


def test_aligned_maps_correlate_positively_with_their_reference():
    maps = torch.tensor([[1.0, 2.0, -5.0], [1.0, 2.0, -5.0], [1.0, 1.0, 1.0]])
    reference = torch.tensor([[2.0, 1.0, -9.0], [-2.0, -1.0, 9.0], [0.0, 1.0, 2.0]])
    signs = torch.tensor([1.0, -1.0, 1.0])[:, None]
    assert torch.equal(aligned(maps, reference), maps * signs)


def test_a_half_that_is_too_short_is_named():
    signals, _ = plant(40, 60, 5, noise=0.3)
    with pytest.raises(MethodError, match="in one half of the texts"):
        split_half(ICA(15), signals, Rows((20, 20)), MEMBERS, rotations=99)
