"""The root config of each entry script."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.config.choices import Site
from fbn_exp.config.options import (
    DatasetConfig,
    FiguresConfig,
    MethodConfig,
    ModelConfig,
    SignalsConfig,
    ThresholdConfig,
    TrackingConfig,
)


@dataclass
class RunConfig:
    """Where this run writes, what it is called, and which sweep it belongs to."""

    folder: str = MISSING
    name: str = ""
    sweep: str | None = None


@dataclass
class ExtractConfig:
    """Everything ``extract.py`` reads."""

    seed: int = 0
    site: Site = Site.mlp_output
    cache: str = "outputs/cache"
    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    signals: SignalsConfig = MISSING
    method: MethodConfig = MISSING
    threshold: ThresholdConfig = MISSING
    tracking: TrackingConfig = MISSING
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    run: RunConfig = field(default_factory=RunConfig)
