"""What can be told of networks from the signals that they were found in."""

import logging
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from fbn_exp.analysis.connectivity import Connectivity, connectivity
from fbn_exp.analysis.drivers import Drivers, drivers
from fbn_exp.analysis.tokens import strongest_tokens
from fbn_exp.core.errors import SignalError
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.extractor import Extraction
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Description:
    """Networks, and what can be told of them.

    Attributes
    ----------
    extraction : Extraction
        The networks, the signals, and the fitted method.
    threshold : Threshold
        Which neurons are members.
    masks : Tensor of shape (K, N), bool
        Members of each network.
    tokens : DataFrame
        Where each network is strongest; see ``strongest_tokens``.
    drivers : Drivers
        What drives each.
    connectivity : Connectivity or None
        How their time courses go together, without intervals; None where the texts are too few or too short.
    """

    extraction: Extraction
    threshold: Threshold
    masks: Tensor
    tokens: pd.DataFrame
    drivers: Drivers
    connectivity: Connectivity | None


def describe(
    lm: LanguageModel, extraction: Extraction, threshold: Threshold, n_tokens: int, context: int
) -> Description:
    """Describe networks while their signals are there.

    Parameters
    ----------
    lm : LanguageModel
        For its tokenizer.
    extraction : Extraction
        The networks.
    threshold : Threshold
        Which neurons are members.
    n_tokens : int
        Strongest tokens of each network.
    context : int
        Tokens shown before and after each of them.
    """
    signals, courses = extraction.signals, extraction.method.time_courses_
    masks = extraction.networks.masks(threshold)
    tokens = strongest_tokens(lm, signals, courses, n_tokens, context)
    found = drivers(lm, signals, courses, masks)
    return Description(extraction, threshold, masks, tokens, found, _connectivity(extraction))


def _connectivity(extraction: Extraction) -> Connectivity | None:
    courses = extraction.method.time_courses_.double().numpy()
    try:
        # intervals cost as much as all the rest
        return connectivity(courses, extraction.signals.rows, draws=1)
    except SignalError as error:
        log.info("networks are described without connectivity: %s", error)
        return None
