"""The root config of each entry script."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.config.choices import PaperTable, Site
from fbn_exp.config.launch import LaunchConfig
from fbn_exp.config.options import (
    DatasetConfig,
    FiguresConfig,
    MethodConfig,
    ModelConfig,
    SignalsConfig,
    ThresholdConfig,
    TrackingConfig,
)
from fbn_exp.config.reliability import ReliabilityConfig
from fbn_exp.config.scoring import BenchmarkConfig, ControlsConfig, ExportConfig, InterventionConfig


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
    reliability: ReliabilityConfig = MISSING
    threshold: ThresholdConfig = MISSING
    tracking: TrackingConfig = MISSING
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    run: RunConfig = field(default_factory=RunConfig)
    launch: LaunchConfig = field(default_factory=LaunchConfig)


@dataclass
class EvaluateConfig(ExtractConfig):
    """Everything ``evaluate.py`` reads: how networks come about, and what is done with them.

    ``networks`` is a folder that ``extract.py`` wrote; without it the networks that the rest of the
    config describes are extracted, or taken from the cache.
    """

    networks: str | None = None
    # false takes networks of other weights too, such as those of the model before it was trained
    same_weights: bool = True
    intervention: InterventionConfig = MISSING
    benchmark: BenchmarkConfig = MISSING
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    # name of the metric that the script returns, for optimising sweepers
    objective: str | None = None
    # choose the best of ``factors`` for each task on dev, report it on test
    select_factor: bool = False
    factors: list[float] = field(default_factory=lambda: [0.0, 0.5, 0.9, 1.05, 1.1, 1.25, 1.5, 2.0])
    # experiment of the paper that a sweep repeats, whose table is written at its end
    paper: PaperTable | None = None
