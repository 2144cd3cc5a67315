"""Type I error: a random target ranks anywhere among its own controls, each place as likely as the others."""

import numpy as np
import pytest
import torch
from planted_targets import original_of, random_target
from scipy.stats import chisquare

from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_controls

DRAWS = 19


def ranks_of(kind, targets, share, draws=DRAWS):
    """Rank of each target's score among those of its draws; the score of neurons is a sum over them."""
    ranks = []
    for seed in range(targets):
        target = random_target(seed, [250] * 4, share, n_networks=1)
        generator = torch.Generator().manual_seed(10_000 + seed)
        square = torch.randn(1000, generator=generator).mul(0.5).exp()
        # as a change of the loss: the direction is chance, its size grows with the energy
        effect = square.sqrt() * torch.randn(1000, generator=generator)
        original = original_of(target, square)
        drawn = draw_controls(original, ControlsConfig([kind], draws, seed)).by_kind[kind]
        own, *others = (float(effect[each.members].sum()) for each in (target, *(d.target for d in drawn)))
        ranks.append(sum(other > own for other in others))
    return np.array(ranks)


def test_ranks_of_random_targets_are_uniform():
    targets = {
        ControlKind.random: 500,
        ControlKind.per_block: 250,
        ControlKind.activation: 250,
        ControlKind.energy: 200,
    }
    ranks = {kind: ranks_of(kind, number, share=0.02) for kind, number in targets.items()}
    for kind, found in ranks.items():
        assert chisquare(np.bincount(found // 2, minlength=(DRAWS + 1) // 2)).pvalue > 0.01, kind
    # one-sided p = (1 + b) / (1 + R)
    p = (1 + np.concatenate(list(ranks.values()))) / (1 + DRAWS)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_a_target_of_a_fifth_of_all_neurons_is_rejected_too_often():
    """Draws that must lie elsewhere are no fair comparison for large targets, which is said of them."""
    ranks = ranks_of(ControlKind.random, 500, share=0.2)
    assert np.mean((1 + ranks) / (1 + DRAWS) <= 0.05) == pytest.approx(0.10, abs=0.03)
    # first or last among 39 is p = .05 two-sided, for scores that are symmetric about 0
    two_sided = np.mean(np.isin(ranks_of(ControlKind.random, 500, share=0.2, draws=39), (0, 39)))
    assert two_sided == pytest.approx(0.13, abs=0.04)
    target = random_target(0, [250] * 4, 0.2, n_networks=1)
    settings = ControlsConfig([ControlKind.random], 1)
    (said,) = draw_controls(Original(target), settings).remarks
    assert said == (
        "The networks hold 20% of all neurons, and controls lie outside them: of random targets of this size "
        "about 13% would have p ≤ 0.05."
    )
    small = random_target(0, [250] * 4, 0.05, n_networks=1)
    assert draw_controls(Original(small), settings).remarks == ()
