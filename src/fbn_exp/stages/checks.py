"""What every evaluation has to hold to."""

import logging
from collections.abc import Mapping
from typing import Any

from fbn_exp.core.errors import BenchmarkError, ConfigError

log = logging.getLogger(__name__)


def require_disjoint(provenance: Mapping[str, Any], scored: frozenset[str] | None) -> None:
    """Networks are never fitted on text that a benchmark scores.

    Parameters
    ----------
    provenance : mapping
        Of the networks.
    scored : frozenset of str or None
        Digests of the benchmark's texts, None if they cannot be told.

    Raises
    ------
    BenchmarkError
        If a text is on both sides.
    """
    fitted = provenance.get("text_digests")
    if scored is None or fitted is None:
        log.info("it cannot be told whether the networks come from texts that this benchmark scores")
        return
    shared = scored & set(fitted)
    if shared:
        raise BenchmarkError(
            f"{len(shared)} of the {len(scored)} texts of the benchmark are among those that the networks "
            "were extracted from: take disjoint parts, as dataset.split=train benchmark.dataset.split=test"
        )


def objective_of(name: str | None, metrics: dict[str, float]) -> float | None:
    """The metric that ``objective`` names.

    Raises
    ------
    ConfigError
        If there is no such metric.
    """
    if name is None:
        return None
    if name not in metrics:
        raise ConfigError(f"objective is {name!r}, this run has: {', '.join(metrics)}")
    return metrics[name]
