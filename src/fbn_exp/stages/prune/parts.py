"""Objects of a pruning run, checked before anything is loaded."""

import dataclasses
from dataclasses import dataclass

from omegaconf import DictConfig

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.core.checks import typed
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.pruning.config import PruningConfig
from fbn_exp.stages.build import Parts, built, extraction_parts


@dataclass(frozen=True)
class PruningParts:
    """Checked objects that a pruning run needs.

    Attributes
    ----------
    base : Parts
        What networks come from.
    networks : str or None
        Folder of networks.
    same_weights : bool
        Whether these must be of the model's weights.
    prune : PruningConfig
        What is pruned.
    forgetting : dict of str to Benchmark
        Benchmarks that are scored before and after.
    """

    base: Parts
    networks: str | None
    same_weights: bool
    prune: PruningConfig
    forgetting: dict[str, Benchmark]

    @property
    def model(self) -> ModelConfig:
        """Model to load, in float32 if it is trained after pruning: small updates vanish in bfloat16."""
        config = self.base.model
        if self.prune.recovery.max_steps and config.dtype is Precision.auto:
            return dataclasses.replace(config, dtype=Precision.float32)
        return config


def pruning_parts(cfg: DictConfig) -> PruningParts:
    """Build the objects of all config groups.

    Raises
    ------
    FbnError
        If any setting is out of range or contradicts another one; nothing has been loaded by then.
    """
    return PruningParts(
        base=extraction_parts(cfg),
        networks=cfg.networks,
        same_weights=cfg.same_weights,
        prune=typed(cfg.prune, PruningConfig),
        forgetting={str(name): built(benchmark, Benchmark) for name, benchmark in cfg.forgetting.items()},  # type: ignore[type-abstract]
    )
