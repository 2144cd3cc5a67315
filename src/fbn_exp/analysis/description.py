"""Describe networks by the signals that they were extracted from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from fbn_exp.analysis.connectivity import Connectivity, connectivity
from fbn_exp.analysis.drivers import Drivers, drivers
from fbn_exp.analysis.tokens import strongest_tokens
from fbn_exp.core.errors import SignalError
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.networks.masks import Direction, directions
from fbn_exp.thresholds.base import Tails, Threshold
from fbn_exp.thresholds.mixture import MixtureThreshold

log = logging.getLogger(__name__)

# a mixture is fitted to every map, a hundredth of a second for 17,000 neurons
MOST_MAPS_WITH_TAILS = 100


@dataclass(frozen=True, eq=False)
class Description:
    """Networks with their strongest tokens, drivers and connectivity.

    Attributes
    ----------
    extraction : Extraction
        Networks, signals, and the fitted method.
    threshold : Threshold
        Rule of membership.
    masks : Tensor of shape (K, N), bool
        Members of each network.
    tails : Tails or None
        Tails of each map by the rule of membership, or by ``MixtureThreshold`` where that does not look for
        tails; None for maps of tests, and for more than ``MOST_MAPS_WITH_TAILS``, as every map takes a fit.
    tokens : DataFrame
        Strongest tokens of each network; see ``strongest_tokens``. The column ``members_go`` has the
        direction of the members' activity at the token.
    drivers : Drivers
        Drivers of each network; in its table, ``members_go`` has the direction at what the label names.
    connectivity : Connectivity or None
        Connectivity without intervals; None where the texts are too few or too short.
    """

    extraction: Extraction
    threshold: Threshold
    masks: Tensor
    tails: Tails | None
    tokens: pd.DataFrame
    drivers: Drivers
    connectivity: Connectivity | None


def describe(
    lm: LanguageModel, extraction: Extraction, threshold: Threshold, n_tokens: int, context: int
) -> Description:
    """Describe networks while their signals are available.

    Parameters
    ----------
    lm : LanguageModel
        Model, for its tokenizer.
    extraction : Extraction
        Networks and signals.
    threshold : Threshold
        Rule of membership.
    n_tokens : int
        Number of strongest tokens of each network.
    context : int
        Tokens shown before and after each of them.
    """
    signals, courses = extraction.signals, extraction.method.time_courses_
    masks = extraction.networks.masks(threshold)
    tokens = strongest_tokens(lm, signals, courses, n_tokens, context)
    network_drivers = drivers(lm, signals, courses, masks)
    rise = directions(masks, extraction.networks.maps)
    table = network_drivers.table
    tokens.insert(3, "members_go", _go(rise, tokens["network"], tokens["strength"]))
    table.insert(2, "members_go", _go(rise, table["network"], table["driver_sign"]))
    return Description(
        extraction,
        threshold,
        masks,
        _tails(extraction.networks, threshold),
        tokens,
        network_drivers,
        _connectivity(extraction),
    )


def _tails(networks: FunctionalNetworks, threshold: Threshold) -> Tails | None:
    """Tails of each map, also for a rule that does not look for them, unless the maps are many."""
    looked_for = networks.tails(threshold)
    # a map of tests has a null of its own
    if looked_for is not None or networks.tested is not None or len(networks) > MOST_MAPS_WITH_TAILS:
        return looked_for
    return networks.tails(MixtureThreshold())


def _go(rise: Sequence[Direction], networks: pd.Series, strengths: pd.Series) -> list[str]:
    """Direction of the members' activity where a network's time course has a value, row by row."""
    pairs = zip(networks, strengths, strict=True)
    return [rise[network].at(strength).value for network, strength in pairs]


def _connectivity(extraction: Extraction) -> Connectivity | None:
    courses = extraction.method.time_courses_.double().numpy()
    try:
        # intervals would take as long as the rest of the description
        return connectivity(courses, extraction.signals.rows, draws=1)
    except SignalError as error:
        log.info("networks are described without connectivity: %s", error)
        return None
