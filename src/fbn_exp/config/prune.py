"""Root config of ``prune.py``."""

from dataclasses import dataclass, field

from fbn_exp.benchmarks.config import BenchmarkConfig
from fbn_exp.config.checks import require_comparable, require_networks
from fbn_exp.config.root import ExtractionConfig
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import Split
from fbn_exp.pruning.config import Criterion, PruningConfig


@dataclass
class PruneConfig(ExtractionConfig):
    """Config of ``prune.py``: how networks are obtained, what is pruned by them, and what is scored.

    Attributes
    ----------
    networks : str or None
        Folder written by ``extract.py`` with ``site=mlp_hidden``, or ``user/name`` or ``user/name@revision``
        of the hub; None extracts what the rest of the config describes, or takes it from the cache.
    same_weights : bool
        False also accepts networks of other weights, such as those of the model before it was fine-tuned.
    prune : PruningConfig
        Which neurons are pruned, and what becomes of them.
    forgetting : mapping of str to BenchmarkConfig
        Benchmarks that are scored before and after pruning.
    objective : str or None
        Name of the metric that the script returns, for optimising sweepers.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    NetworksError
        If the folder ``networks`` holds no networks.
    """

    networks: str | None = None
    same_weights: bool = True
    prune: PruningConfig = field(default_factory=PruningConfig)
    forgetting: dict[str, BenchmarkConfig] = field(default_factory=dict)
    objective: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_networks(self.networks)
        if self.networks is not None and self.prune.criterion is not Criterion.networks:
            raise ConfigError(
                f"networks={self.networks} is given, and prune.criterion={self.prune.criterion} uses none: "
                "leave one of them out"
            )
        require_comparable(self.forgetting, "pruning")
        if self.prune.recovery.max_steps and self.dataset.split is not Split.train:
            raise ConfigError(
                f"dataset.split is {self.dataset.split}: recovery takes the train part, whatever is set "
                "here; leave it out"
            )
