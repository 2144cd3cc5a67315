"""Maps of networks in units of activations: patterns, and the filters that read their time courses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.methods.least_squares import least_squares_filters
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import statistics_of
from fbn_exp.signals.config import Standardise
from fbn_exp.signals.standardise import silent


@dataclass(frozen=True, eq=False)
class Components:
    """Chosen networks as directions of the activations, not as sets of neurons.

    A network with map m and time course a(t) stands for a(t) · m in the signals. Signals that were z-scored
    are activations divided by each neuron's standard deviation s: in units of the activations the same part
    is a(t) · (m ⊙ s). Under ``row_l2`` a token's norm multiplies course and signal alike, and m stays.

    Attributes
    ----------
    maps : Tensor of shape (K, N)
        Maps of all networks, in units of the signals.
    chosen : tuple of int
        Indices of the chosen ones.
    deviation : Tensor of shape (N,), float64
        Activation of each neuron per unit of its signal: 1, or its standard deviation if signals were
        z-scored; 0 for a silent neuron.
    order : Tensor of shape (N,), optional
        Permutation of the neurons: neuron n takes the weight of neuron ``order[n]``, as for a control.
    """

    maps: Tensor
    chosen: tuple[int, ...]
    deviation: Tensor
    order: Tensor | None = None

    @cached_property
    def patterns(self) -> Tensor:
        """Maps of the chosen networks in units of activations, float32 of shape (k, N)."""
        patterns = (self.maps[list(self.chosen)] * self.deviation).float()
        return patterns if self.order is None else patterns[:, self.order]

    @cached_property
    def filters(self) -> Tensor:
        """Weights that read the time courses from activations, float32 of shape (k, N).

        The course of a chosen network at activations x is (x − mean) · filter, its coefficient when the
        signals are fitted by all maps together (least squares). Patterns and filters: Haufe et al. (2014),
        On the interpretation of weight vectors of linear models in multivariate neuroimaging. A permutation
        of the patterns leaves the filters as they are.
        """
        filters = least_squares_filters(self.maps)[list(self.chosen)]
        inverse = torch.where(self.deviation > 0, 1 / self.deviation.clamp_min(1e-300), 0.0)
        return (filters * inverse).float()

    def permuted(self, order: Tensor) -> "Components":
        """Copy whose patterns lie at other neurons; time courses stay."""
        return replace(self, order=order)


def components_of(
    networks: FunctionalNetworks, chosen: tuple[int, ...], statistics: StatisticsByToken | None = None
) -> Components | None:
    """Components of chosen networks; None if the networks do not say how their signals were standardised.

    Parameters
    ----------
    networks : FunctionalNetworks
        Networks with their provenance.
    chosen : tuple of int
        Indices of the chosen ones.
    statistics : StatisticsByToken, optional
        Statistics of the neurons over the extraction texts, if they are at hand already.
    """
    config = networks.provenance.get("config")
    signals = config.get("signals") if isinstance(config, Mapping) else None
    if not isinstance(signals, Mapping) or "standardise" not in signals:
        return None
    deviation = torch.ones(networks.layout.n_neurons, dtype=torch.float64)
    if signals["standardise"] == Standardise.zscore.value:
        if statistics is None:
            statistics = statistics_of(networks.neurons, networks.provenance)
        recorded = statistics.others if signals.get("first_tokens_excluded") else statistics.all
        constant = silent(recorded.mean, recorded.standard_deviation)
        deviation = recorded.standard_deviation.masked_fill(constant, 0.0)
    return Components(networks.maps, chosen, deviation)
