"""Checks of what parts of a config, each valid by itself, are together; before a model loads."""

from collections.abc import Mapping
from pathlib import Path

from fbn_exp.benchmarks.config import BenchmarkConfig, DivergenceConfig
from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.core.files import no_folder
from fbn_exp.datasets.config import DatasetConfig
from fbn_exp.interventions.config import Fill, InterventionConfig, Place
from fbn_exp.methods.config import MethodConfig
from fbn_exp.networks.folder import description_in
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.reliability.config import NoReliabilityConfig, ReliabilityConfig, SplitHalvesConfig

# settings of interventions that depend on the position of tokens
BY_POSITION = {
    "tokens": (Place.first_spared, Place.first_only),
    "fill": (Fill.position_mean, Fill.resample),
}


def require_labels(method: MethodConfig, dataset: DatasetConfig, reliability: ReliabilityConfig) -> None:
    """Refuse a method that compares labels that the texts do not have, as far as that is known unread."""
    if not method.compared_labels:
        return
    if not isinstance(reliability, NoReliabilityConfig | SplitHalvesConfig):
        raise ConfigError(
            "method=localizer measures the agreement of halves of the texts itself, and its networks need no "
            "matching over runs: take reliability=none"
        )
    known = dataset.known_labels
    if known is not None and (missing := [each for each in method.compared_labels if each not in known]):
        raise ConfigError(
            f"method.contrasts compares texts labelled {', '.join(missing)}, and the texts of dataset have "
            + (f"other labels: {', '.join(known)}" if known else "no labels: take dataset=conditions")
        )


def require_foldable(intervention: InterventionConfig, asked_by: str) -> None:
    """Refuse to write into weights what differs from token to token, or has no equivalent there at all."""
    if intervention.never_in_weights is not None:
        raise ConfigError(
            f"{asked_by} writes the intervention into weights, and {intervention.never_in_weights}"
        )
    for name, by_position in BY_POSITION.items():
        value = getattr(intervention, name, None)
        if value in by_position:
            raise ConfigError(
                f"{asked_by} writes the intervention into weights, which are the same for all tokens, and "
                f"intervention.{name}={value} treats first tokens or others apart: take another one"
            )


def require_cache(folder: str) -> None:
    """Refuse a folder of the cache that cannot be made or written to."""
    if (reason := no_folder(Path(folder))) is not None:
        raise ConfigError(f"cache={folder}: {reason}")


def require_networks(folder: str | None) -> None:
    """Refuse a folder that holds no networks."""
    if folder is not None:
        try:
            description_in(local_folder(folder))
        except NetworksError as error:
            raise NetworksError(f"networks={folder}: {error}") from None


def require_comparable(forgetting: Mapping[str, BenchmarkConfig], change: str) -> None:
    """Refuse benchmarks whose scores before and after a change of the weights cannot be compared."""
    for name, benchmark in forgetting.items():
        if isinstance(benchmark, DivergenceConfig):
            raise ConfigError(
                f"forgetting.{name} is divergence, which compares an edit with the same weights "
                f"untouched: take perplexity, which is compared before and after {change}"
            )
