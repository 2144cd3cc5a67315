"""The root config of each entry script."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.analysis.config import AnalysisConfig
from fbn_exp.benchmarks.config import BenchmarkConfig
from fbn_exp.core.layout import Site
from fbn_exp.datasets.config import DatasetConfig
from fbn_exp.experiments.config import PaperTable
from fbn_exp.interventions.config import ControlsConfig, ExportConfig, InterventionConfig
from fbn_exp.launch.config import LaunchConfig
from fbn_exp.methods.config import MethodConfig
from fbn_exp.models.config import ModelConfig
from fbn_exp.reliability.config import ReliabilityConfig
from fbn_exp.report.config import FiguresConfig
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.thresholds.config import ThresholdConfig
from fbn_exp.tracking.config import TrackingConfig
from fbn_exp.training.config import TaskConfig, TrainableConfig, TrainerConfig


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
    # measures networks in the place of scoring the model; the benchmark is not run then
    analysis: AnalysisConfig | None = None
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    # name of the metric that the script returns, for optimising sweepers
    objective: str | None = None
    # choose the best of ``factors`` for each task on dev, report it on test
    select_factor: bool = False
    factors: list[float] = field(default_factory=lambda: [0.0, 0.5, 0.9, 1.05, 1.1, 1.25, 1.5, 2.0])
    # experiment of the paper that a sweep repeats, whose table is written at its end
    paper: PaperTable | None = None


@dataclass
class TrainConfig:
    """Everything ``train.py`` reads.

    Attributes
    ----------
    networks : str or None
        A folder that ``extract.py`` wrote, for trainable=inside and outside, and for an intervention that is
        active while the model is trained.
    fold : bool
        Write that intervention into the weights that are saved, instead of taking it off before.
    forgetting : mapping of str to BenchmarkConfig
        Benchmarks that are scored before and after.
    """

    seed: int = 0
    site: Site = Site.mlp_output
    cache: str = "outputs/cache"
    networks: str | None = None
    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    task: TaskConfig = MISSING
    trainable: TrainableConfig = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    threshold: ThresholdConfig = MISSING
    intervention: InterventionConfig = MISSING
    fold: bool = False
    forgetting: dict[str, BenchmarkConfig] = field(default_factory=dict)
    # name of the metric that the script returns, for optimising sweepers
    objective: str | None = None
    tracking: TrackingConfig = MISSING
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    run: RunConfig = field(default_factory=RunConfig)
