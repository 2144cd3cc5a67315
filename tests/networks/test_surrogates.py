import numpy as np
import pytest
import torch
from planted import chance_of_match, plant
from scipy.stats import hypergeom

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.rows import Rows
from fbn_exp.networks.masks import block_shares, intersection_over_union
from fbn_exp.networks.surrogates import (
    ShuffledMasks,
    column_chunks,
    phase_randomiser,
    random_lags,
    shifted,
    sparse,
    swap_p_value,
    upper_p_value,
)


def layout(*widths):
    return NeuronLayout.of(Site.mlp_output, [f"block.{index}" for index in range(len(widths))], widths)


def random_masks(sizes, n_neurons, rng):
    masks = torch.zeros(len(sizes), n_neurons, dtype=torch.bool)
    for row, size in enumerate(sizes):
        masks[row, rng.permutation(n_neurons)[:size]] = True
    return masks


def test_consistency_counts_on_independent_random_networks_match_the_analytic_chance_level():
    rng = np.random.default_rng(0)
    template, individual, n_neurons, minimum = 30, 24, 100, 0.15
    templates, individuals = (
        random_masks([template] * 20, n_neurons, rng),
        random_masks([individual] * 800, 100, rng),
    )
    overlap = intersection_over_union(templates, individuals).numpy()
    expected = chance_of_match([template], [individual], [n_neurons], minimum)
    assert 0.2 < expected < 0.8
    assert (overlap > minimum).mean() == pytest.approx(expected, abs=0.015)
    shuffled = ShuffledMasks(templates, layout(n_neurons))
    draws = [shuffled.intersection_over_union(sparse(individuals), rng) for _ in range(20)]
    assert np.mean(np.stack(draws) > minimum) == pytest.approx(expected, abs=0.015)


def test_the_chance_of_a_match_in_one_block_is_the_hypergeometric_tail():
    # 20 and 10 of 50, IoU > .25: shared / (30 - shared) > .25, so shared > 6
    assert chance_of_match([20], [10], [50], 0.25) == pytest.approx(hypergeom.sf(6, 50, 20, 10))


def test_shuffled_masks_in_unequal_blocks_match_the_chance_level_of_their_sizes():
    rng = np.random.default_rng(1)
    widths, sizes, other = (40, 15, 30), (10, 8, 0), (6, 9, 5)
    fixed, masks = torch.zeros(1, 85, dtype=torch.bool), torch.zeros(1, 85, dtype=torch.bool)
    for block, size, count in zip(layout(*widths).blocks, sizes, other, strict=True):
        fixed[0, block.offset : block.offset + size] = True
        masks[0, block.offset : block.offset + count] = True
    shuffled = ShuffledMasks(fixed, layout(*widths))
    drawn = np.array([shuffled.intersection_over_union(sparse(masks), rng)[0, 0] for _ in range(4_000)])
    expected = chance_of_match(sizes, other, widths, 0.2)
    blind = chance_of_match([sum(sizes)], [sum(other)], [sum(widths)], 0.2)
    assert np.mean(drawn > 0.2) == pytest.approx(expected, abs=0.03)
    assert abs(expected - blind) > 0.2  # a null that ignores blocks is another one


def test_a_shuffle_keeps_sizes_in_blocks_and_overlaps_among_the_masks():
    rng = np.random.default_rng(2)
    where = layout(20, 30)
    masks = random_masks([10, 12, 8], 50, rng)
    identity = torch.eye(50, dtype=torch.bool)
    shuffled = ShuffledMasks(identity, where)
    # against single neurons, an IoU above 0 is membership
    drawn = torch.from_numpy(shuffled.intersection_over_union(sparse(masks), rng).T > 0)
    assert (drawn != masks).any()
    assert torch.equal(drawn.sum(dim=1), masks.sum(dim=1))
    assert torch.equal(block_shares(drawn, where), block_shares(masks, where))
    assert torch.equal(intersection_over_union(drawn, drawn), intersection_over_union(masks, masks))


def test_a_p_value_counts_the_observed_one_and_is_never_zero():
    null = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert upper_p_value(np.array([2.0, 6.0]), null) == pytest.approx([3 / 4, 1 / 4])


def test_the_swap_test_is_uniform_under_the_null_and_small_when_texts_agree():
    rng = np.random.default_rng(3)
    p = [swap_p_value(rng.poisson(2, (30, 1)), rng.poisson(2, (30, 1)), 200, rng)[0] for _ in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert swap_p_value(rng.poisson(4, (30, 1)), rng.poisson(1, (30, 1)), 999, rng)[0] == 0.001


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_tokens", [500, 501])
def test_phase_randomisation_keeps_covariance_and_takes_the_shape_of_the_distribution(n_tokens):
    courses = torch.distributions.Laplace(0.0, 1.0)
    torch.manual_seed(0)
    drawn = (
        courses.sample((n_tokens, 3)).double() @ torch.tensor([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 2]]).double()
    )
    turned = phase_randomiser(Rows((n_tokens,)), generator())(drawn)
    torch.testing.assert_close(torch.cov(turned.T), torch.cov(drawn.T))
    torch.testing.assert_close(turned.mean(dim=0), drawn.mean(dim=0))
    lagged = (drawn[:, 0] * drawn[:, 1].roll(7)).mean()
    torch.testing.assert_close((turned[:, 0] * turned[:, 1].roll(7)).mean(), lagged)

    def kurtosis(values):
        centred = values - values.mean(dim=0)
        return centred.pow(4).mean(dim=0) / centred.square().mean(dim=0).square()

    assert kurtosis(drawn)[2] > 4
    assert (kurtosis(turned) - 3).abs().max() < 1


def test_shifted_signals_come_back_bit_for_bit_also_after_an_error(monkeypatch):
    monkeypatch.setattr("fbn_exp.networks.surrogates.CHUNK_VALUES", 700)
    signals, _ = plant(100, 33, 3, noise=0.1)
    before = signals.clone()
    assert len(list(column_chunks(signals))) == 5

    def look_and_stop():
        torch.testing.assert_close(signals.sort(dim=0).values, before.sort(dim=0).values)
        # the same course, later: neighbours stay neighbours, in one column by another lag than in the next
        lags = [(signals[:, n] == before[0, n]).nonzero()[0, 0].item() for n in range(33)]
        for neuron, lag in enumerate(lags):
            assert torch.equal(signals[:, neuron], before[:, neuron].roll(lag))
        assert len(set(lags)) > 20
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), shifted(signals, random_lags(signals, generator())):
        look_and_stop()
    assert torch.equal(signals, before)


def test_shifting_breaks_what_neurons_share():
    signals = torch.randn(400, 1, generator=generator()) + 0.1 * torch.randn(400, 50, generator=generator(1))
    off = ~torch.eye(50, dtype=torch.bool)
    assert torch.corrcoef(signals.T)[off].mean() > 0.9
    with shifted(signals, random_lags(signals, generator(2))):
        assert torch.corrcoef(signals.T)[off].abs().mean() < 0.15


UNEQUAL = Rows((40, 1, 0, 25, 40, 31))


def test_phases_turn_inside_texts_and_keep_the_mean_and_covariance_of_each():
    courses = torch.randn(len(UNEQUAL), 4, generator=generator(), dtype=torch.float64).exp()
    turned = phase_randomiser(UNEQUAL, generator(1))(courses)
    for text in UNEQUAL.slices:
        torch.testing.assert_close(turned[text].mean(dim=0), courses[text].mean(dim=0))
        torch.testing.assert_close(turned[text].T @ turned[text], courses[text].T @ courses[text])
    assert (turned - courses).abs().max() > 0.5
    # what happens in one text leaves the others alone
    other = courses.clone()
    other[:40] += torch.randn(40, 4, generator=generator(2), dtype=torch.float64)
    again = phase_randomiser(UNEQUAL, generator(1))(other)
    torch.testing.assert_close(again[40:], turned[40:])
    # texts of one length turn by different angles
    both = phase_randomiser(Rows((40, 40)), generator(3))(courses[:40].repeat(2, 1))
    assert (both[:40] - both[40:]).abs().max() > 0.1


def test_shifts_inside_texts_leave_every_token_in_its_text():
    signals = torch.arange(float(len(UNEQUAL))).repeat(7, 1).T.clone()
    before = signals.clone()
    lags = random_lags(signals, generator(), UNEQUAL)
    assert lags.shape == (5, 7)
    with shifted(signals, lags, UNEQUAL):
        for text, own in zip(UNEQUAL.slices, lags, strict=True):
            for neuron in range(7):
                assert torch.equal(signals[text, neuron], before[text, neuron].roll(int(own[neuron])))
        assert not torch.equal(signals, before)
    assert torch.equal(signals, before)
