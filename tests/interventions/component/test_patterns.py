"""Patterns and filters of networks in units of activations, however the signals were standardised."""

import pytest
import torch
from planted import plant

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken, neuron_statistics
from fbn_exp.interventions.component.patterns import components_of
from fbn_exp.methods.least_squares import least_squares_courses, least_squares_filters
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.signals.config import Standardise
from fbn_exp.signals.standardise import standardise

LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [2, 2])
MAPS = torch.tensor([[1.0, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 1]])


def statistics_of(mean, deviation, n_tokens=10):
    mean, deviation = torch.as_tensor(mean).double(), torch.as_tensor(deviation).double()
    return NeuronStatistics(mean, deviation, mean.abs(), n_tokens=n_tokens)


PLAIN = StatisticsByToken(None, statistics_of([0.0, 1, 0, 5], [2.0, 10, 0.5, 1e-7]))


def components(maps, how, chosen, statistics=PLAIN, layout=LAYOUT, excluded=0):
    signals = {"standardise": how, "first_tokens_excluded": excluded}
    networks = FunctionalNetworks(maps, layout, provenance={"config": {"signals": signals}})
    return components_of(networks, chosen, statistics)


def test_maps_of_raw_signals_are_patterns_as_they_are():
    for how in ("none", "row_l2"):
        found = components(MAPS, how, (1, 0))
        assert torch.equal(found.patterns, MAPS[[1, 0]])
        torch.testing.assert_close(found.filters, torch.linalg.pinv(MAPS).T[[1, 0]])


def test_z_scored_maps_are_multiplied_by_the_standard_deviation_and_silent_neurons_are_0():
    found = components(MAPS, "zscore", (0, 1, 2))
    assert found.patterns.tolist() == [[2, 10, 0, 0], [0, 10, 1, 0], [0, 0, 0, 0]]
    expected = torch.linalg.pinv(MAPS).T / torch.tensor([2, 10, 0.5, torch.inf])
    torch.testing.assert_close(found.filters, expected)


def test_the_deviation_is_that_over_the_tokens_that_were_recorded():
    # 2 first tokens at 4 and 8 others at -1: mean 0, variance (2 · 16 + 8) / 10 + within
    apart = StatisticsByToken(statistics_of([4.0] * 4, [0.0] * 4, 2), statistics_of([-1.0] * 4, [3.0] * 4, 8))
    maps = torch.ones(1, 4)
    assert components(maps, "zscore", (0,), apart, excluded=1).patterns.tolist() == [[3.0] * 4]
    expected = torch.full((1, 4), ((2 * 16 + 8 + 8 * 9) / 10) ** 0.5)
    torch.testing.assert_close(components(maps, "zscore", (0,), apart).patterns, expected)


@pytest.mark.parametrize("how", ["none", "zscore"])
def test_filters_read_the_time_courses_of_the_recorded_signals(how):
    raw, maps = plant(n_tokens=300, n_neurons=40, n_networks=3, noise=0.1)
    raw = raw * torch.linspace(0.1, 10, 40) + torch.linspace(-3, 3, 40)
    signals, statistics = raw.clone(), neuron_statistics(raw)
    standardise(signals, Standardise(how), statistics)
    layout = NeuronLayout.of(Site.mlp_output, ["blocks.0"], [40])
    found = components(maps, how, (2, 0), StatisticsByToken(None, statistics), layout)
    courses = (raw - statistics.mean.float()) @ found.filters.T
    expected = least_squares_courses(signals, maps)[:, [2, 0]].float()
    torch.testing.assert_close(courses, expected, rtol=1e-3, atol=1e-3)


def test_courses_of_dependent_maps_are_those_of_the_smallest_norm():
    maps = torch.stack([MAPS[0], 2 * MAPS[0], torch.zeros(4)])
    signals = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = least_squares_courses(signals, maps)
    found = (signals - signals.mean(dim=0)).double() @ least_squares_filters(maps).T
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_permuted_patterns_lie_elsewhere_and_are_read_as_before():
    found = components(MAPS, "none", (0, 1))
    permuted = found.permuted(torch.tensor([1, 0, 3, 2]))
    assert permuted.patterns.tolist() == [[1, 1, 0, 0], [1, 0, 0, 2]]
    assert torch.equal(permuted.filters, found.filters)


@pytest.mark.parametrize("provenance", [{}, {"config": {}}, {"config": {"signals": {}}}, {"config": "none"}])
def test_networks_that_do_not_say_how_signals_were_standardised_have_no_components(provenance):
    assert components_of(FunctionalNetworks(MAPS, LAYOUT, provenance=provenance), (0,), PLAIN) is None
