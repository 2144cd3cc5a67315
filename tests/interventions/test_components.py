"""Patterns and filters of networks in units of activations, however the signals were standardised."""

import pytest
import torch
from planted import plant

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import neuron_statistics
from fbn_exp.interventions.components import components_of
from fbn_exp.methods.least_squares import least_squares_courses, least_squares_filters
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.signals.config import Standardise
from fbn_exp.signals.standardise import standardise

LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [2, 2])
MAPS = torch.tensor([[1.0, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 1]])


def networks_of(maps, how, neurons=None, layout=LAYOUT):
    provenance = {} if how is None else {"config": {"signals": {"standardise": how}}}
    return FunctionalNetworks(maps, layout, neurons=neurons or {}, provenance=provenance)


def test_maps_of_raw_signals_are_patterns_as_they_are():
    for how in ("none", "row_l2"):
        components = components_of(networks_of(MAPS, how), (1, 0))
        assert torch.equal(components.patterns, MAPS[[1, 0]])
        torch.testing.assert_close(components.filters, torch.linalg.pinv(MAPS).T[[1, 0]])


def test_z_scored_maps_are_multiplied_by_the_standard_deviation_and_silent_neurons_are_0():
    neurons = {"mean": torch.tensor([0.0, 1, 0, 5]), "standard_deviation": torch.tensor([2.0, 10, 0.5, 1e-7])}
    components = components_of(networks_of(MAPS, "zscore", neurons), (0, 1, 2))
    assert components.patterns.tolist() == [[2, 10, 0, 0], [0, 10, 1, 0], [0, 0, 0, 0]]
    expected = torch.linalg.pinv(MAPS).T / torch.tensor([2, 10, 0.5, torch.inf])
    torch.testing.assert_close(components.filters, expected)


@pytest.mark.parametrize("how", ["none", "zscore"])
def test_filters_read_the_time_courses_of_the_recorded_signals(how):
    raw, maps = plant(n_tokens=300, n_neurons=40, n_networks=3, noise=0.1)
    raw = raw * torch.linspace(0.1, 10, 40) + torch.linspace(-3, 3, 40)
    signals, statistics = raw.clone(), neuron_statistics(raw)
    standardise(signals, Standardise(how), statistics)
    layout = NeuronLayout.of(Site.mlp_output, ["blocks.0"], [40])
    neurons = {
        "mean": statistics.mean.float(),
        "standard_deviation": statistics.standard_deviation.float(),
    }
    components = components_of(networks_of(maps, how, neurons, layout), (2, 0))
    found = (raw - statistics.mean.float()) @ components.filters.T
    expected = least_squares_courses(signals, maps)[:, [2, 0]].float()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_courses_of_dependent_maps_are_those_of_the_smallest_norm():
    maps = torch.stack([MAPS[0], 2 * MAPS[0], torch.zeros(4)])
    signals = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = least_squares_courses(signals, maps)
    found = (signals - signals.mean(dim=0)).double() @ least_squares_filters(maps).T
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_permuted_patterns_lie_elsewhere_and_are_read_as_before():
    components = components_of(networks_of(MAPS, "none"), (0, 1))
    order = torch.tensor([1, 0, 3, 2])
    permuted = components.permuted(order)
    assert permuted.patterns.tolist() == [[1, 1, 0, 0], [1, 0, 0, 2]]
    assert torch.equal(permuted.filters, components.filters)


def test_networks_that_do_not_say_how_signals_were_standardised_have_no_components():
    assert components_of(networks_of(MAPS, None), (0,)) is None


def test_z_scored_networks_without_deviations_are_refused():
    with pytest.raises(NetworksError, match="hold no standard_deviation of each neuron: extract again"):
        components_of(networks_of(MAPS, "zscore", {"mean": torch.zeros(4)}), (0,))
