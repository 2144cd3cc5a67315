import pytest
import torch
from neuron_statistics import stated

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.networks.neurons import NAMES, TOKENS, neuron_tensors, statistics_of, token_counts

BOTH = StatisticsByToken(stated([8.0, -1], [9.0, 2], n_tokens=2), stated([0.5, 3], [1.0, 3], n_tokens=6))


def test_statistics_come_back_from_tensors_and_provenance():
    tensors = neuron_tensors(BOTH)
    assert tensors.keys() == {*NAMES, *(f"{name}_first" for name in NAMES)}
    assert all(each.dtype is torch.float32 for each in tensors.values())
    assert tensors["mean"].tolist() == [0.5, 3]
    assert tensors["mean_square_first"].tolist() == pytest.approx([81, 4])
    read = statistics_of(tensors, {TOKENS: token_counts(BOTH)})
    for part in ("first", "others", "all"):
        for name in NAMES:
            found, expected = getattr(getattr(read, part), name), getattr(getattr(BOTH, part), name)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert (read.first.n_tokens, read.others.n_tokens) == (2, 6)
    assert read.all.mean.tolist() == [(2 * 8 + 6 * 0.5) / 8, (2 * -1 + 6 * 3) / 8]


def test_what_an_earlier_version_kept_counts_for_all_tokens():
    old = {name: each for name, each in neuron_tensors(BOTH).items() if not name.endswith("_first")}
    read = statistics_of(old, {})
    assert read.first is None
    assert read.all.mean.tolist() == [0.5, 3]


@pytest.mark.parametrize("lacking", ["mean", "standard_deviation", "mean_absolute"])
def test_a_missing_statistic_is_an_error(lacking):
    tensors = neuron_tensors(BOTH)
    del tensors[lacking]
    with pytest.raises(NetworksError, match=f"no {lacking} of each neuron: extract again"):
        statistics_of(tensors, {})


@pytest.mark.parametrize(
    "counts", [3, {}, {"first": 1}, {"first": -1, "others": 2}, {"first": 1.5, "others": 2}]
)
def test_numbers_of_tokens_that_are_none_are_an_error(counts):
    with pytest.raises(NetworksError, match="must be numbers of tokens"):
        statistics_of(neuron_tensors(BOTH), {TOKENS: counts})
