"""Statistics of neurons in a folder of networks: one tensor for each, first tokens of texts apart."""

from collections.abc import Mapping

from torch import Tensor

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.moments import NeuronStatistics, StatisticsByToken

# those that the others follow from, in the order of NeuronStatistics
NEEDED = ("mean", "standard_deviation", "mean_absolute")
NAMES = (*NEEDED, "mean_square")
FIRST = "_first"
# key in the provenance of the numbers of tokens that the statistics are over
TOKENS = "statistics_tokens"


def neuron_tensors(statistics: StatisticsByToken) -> dict[str, Tensor]:
    """Statistics as tensors of shape (N,), float32.

    The plain names are over tokens that are not first in their text, those with ``_first`` over first tokens.
    """
    tensors = {name: getattr(statistics.others, name).float() for name in NAMES}
    if statistics.first is not None:
        tensors |= {f"{name}{FIRST}": getattr(statistics.first, name).float() for name in NAMES}
    return tensors


def token_counts(statistics: StatisticsByToken) -> dict[str, int]:
    """Numbers of tokens that statistics are over, for the provenance of networks."""
    counts = {"others": statistics.others.n_tokens}
    return counts if statistics.first is None else {"first": statistics.first.n_tokens, **counts}


def statistics_of(neurons: Mapping[str, Tensor], provenance: Mapping[str, object]) -> StatisticsByToken:
    """Statistics from the tensors and the provenance of networks.

    Networks of an earlier version have none of first tokens; what they have counts for all tokens.

    Raises
    ------
    NetworksError
        If mean, deviation or mean magnitude are missing, or the numbers of tokens are no numbers.
    """
    if lacking := [name for name in NEEDED if name not in neurons]:
        raise NetworksError(f"the networks hold no {' and no '.join(lacking)} of each neuron: extract again")
    counts = provenance.get(TOKENS)
    if counts is None or any(f"{name}{FIRST}" not in neurons for name in NAMES):
        return StatisticsByToken(None, _read(neurons, "", 0))
    if not isinstance(counts, Mapping) or not all(
        type(counts.get(part)) is int and counts[part] >= 0 for part in ("first", "others")
    ):
        raise NetworksError(f"provenance.{TOKENS} is {counts!r}, must be numbers of tokens: extract again")
    return StatisticsByToken(
        _read(neurons, FIRST, counts["first"]),
        _read(neurons, "", counts["others"]),
    )


def _read(neurons: Mapping[str, Tensor], suffix: str, n_tokens: int) -> NeuronStatistics:
    mean, spread, magnitude = (neurons[f"{name}{suffix}"].double() for name in NEEDED)
    return NeuronStatistics(mean, spread, magnitude, n_tokens=n_tokens)
