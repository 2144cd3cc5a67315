"""Root config of each entry script."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.analysis.config import AnalysisConfig
from fbn_exp.benchmarks.config import BenchmarkConfig
from fbn_exp.config.checks import (
    require_cache,
    require_comparable,
    require_foldable,
    require_labels,
    require_networks,
)
from fbn_exp.core.checks import require_at_least, require_at_most, require_finite, require_seed
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.config import DatasetConfig, Split
from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.decisive.config import DecisiveConfig
from fbn_exp.interventions.config import ExportConfig, Fill, InterventionConfig, NoInterventionConfig
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.launch.config import LARGEST_PORT, LaunchConfig
from fbn_exp.methods.config import MethodConfig
from fbn_exp.models.config import ModelConfig
from fbn_exp.networks.folder import count_in
from fbn_exp.networks.sharing.config import SharingConfig
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.reliability.config import NoReliabilityConfig, ReliabilityConfig
from fbn_exp.report.config import FiguresConfig
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.thresholds.config import ThresholdConfig
from fbn_exp.tracking.config import TrackingConfig
from fbn_exp.training.config import TaskConfig, TrainableConfig, TrainerConfig, TrainPartConfig


@dataclass
class RunConfig:
    """Output folder of a run, its name, and the sweep that it belongs to."""

    folder: str = MISSING
    name: str = ""
    sweep: str | None = None


@dataclass
class ExtractionConfig:
    """Config of all scripts that extract networks.

    Attributes
    ----------
    overwrite : bool
        True to write over the results of a run or sweep with another configuration in the same folder.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    """

    seed: int = 0
    site: Site = Site.mlp_output
    cache: str = "outputs/cache"
    overwrite: bool = False
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

    def __post_init__(self) -> None:
        require_seed("seed", self.seed)
        require_cache(self.cache)
        require_labels(self.method, self.dataset, self.reliability)
        if self.method.per_block and not isinstance(self.reliability, NoReliabilityConfig):
            raise ConfigError(
                "method.per_block is true and reliability is not none: networks of different blocks cannot "
                "be matched over runs; take method.per_block=false or reliability=none"
            )


@dataclass
class ExtractConfig(ExtractionConfig):
    """Config of ``extract.py``.

    Attributes
    ----------
    networks : SharingConfig
        Repository of the hub to push the networks to.
    """

    networks: SharingConfig = field(default_factory=SharingConfig)


@dataclass
class EvaluateConfig(ExtractionConfig):
    """Config of ``evaluate.py``: how networks are obtained, and what is done with them.

    Attributes
    ----------
    networks : str or None
        Folder written by ``extract.py``, or ``user/name`` or ``user/name@revision`` of the hub; None extracts
        the networks that the rest of the config describes, or takes them from the cache.
    same_weights : bool
        False also accepts networks of other weights, such as those of the model before it was fine-tuned.
    keep_lesion : bool
        Keep the lesion of a single network for the report of the run that extracted it, and show it there.
    analysis : AnalysisConfig or None
        Analysis to run on the networks instead of the benchmark.
    objective : str or None
        Name of the metric that the script returns, for optimising sweepers.
    select_factor : bool
        Choose the best of ``factors`` for each task on dev items and report its score on test items.
    factors : list of float
        Candidates for ``select_factor``.
    paper : PaperTable or None
        Experiment of the paper that a sweep repeats; its table is written when the sweep ends.
    decisive : DecisiveConfig or None
        Experiment whose verdict is made when the sweep ends, by the rule that is stated here.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    NetworksError
        If the folder ``networks`` holds no networks.
    """

    networks: str | None = None
    same_weights: bool = True
    keep_lesion: bool = True
    intervention: InterventionConfig = MISSING
    benchmark: BenchmarkConfig = MISSING
    analysis: AnalysisConfig | None = None
    controls: ControlsConfig = MISSING
    export: ExportConfig = field(default_factory=ExportConfig)
    objective: str | None = None
    select_factor: bool = False
    factors: list[float] = field(default_factory=lambda: [0.0, 0.5, 0.9, 1.05, 1.1, 1.25, 1.5, 2.0])
    paper: PaperTable | None = None
    decisive: DecisiveConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for factor in self.factors:
            require_finite("factors", factor)
        require_networks(self.networks)
        if (count := self._known_count()) is not None:
            self.intervention.require_fit(count)
        if self.analysis is not None and (self.select_factor or self.export.path is not None):
            raise ConfigError(
                "an analysis measures networks and applies no intervention: leave out select_factor and "
                "export.path, or take analysis=null"
            )
        if self.export.path is not None:
            require_foldable(self.intervention, "export.path")
        if self.select_factor:
            # a user-defined class has only the fields that its yaml sets
            if not hasattr(self.intervention, "factor"):
                raise ConfigError("select_factor=true chooses a factor: take intervention=scale or amplify")
            if len(set(self.factors)) < 2:
                raise ConfigError(
                    f"factors is {self.factors}: select_factor needs at least two to choose from"
                )

    def _known_count(self) -> int | None:
        """Number of networks, if it is known before they are loaded or extracted."""
        if self.networks is not None:
            return count_in(local_folder(self.networks))
        known = isinstance(self.method.n_components, int) and not self.method.per_block
        return self.method.n_components if known else None


@dataclass
class TrainConfig:
    """Config of ``train.py``.

    Attributes
    ----------
    overwrite : bool
        True to write over the results of a run or sweep in the same folder, also to train again what was
        trained with the same configuration.
    networks : str or None
        Folder written by ``extract.py``, or ``user/name`` of the hub; needed by trainable=inside and outside,
        and by an intervention that is active during training.
    fold : bool
        Fold the intervention into the saved weights, instead of removing it before they are saved.
    forgetting : mapping of str to BenchmarkConfig
        Benchmarks that are scored before and after training.
    objective : str or None
        Name of the metric that the script returns, for optimising sweepers.

    Raises
    ------
    ConfigError
        If settings contradict each other.
    NetworksError
        If the folder ``networks`` holds no networks.
    """

    seed: int = 0
    site: Site = Site.mlp_output
    cache: str = "outputs/cache"
    overwrite: bool = False
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
    objective: str | None = None
    tracking: TrackingConfig = MISSING
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        require_seed("seed", self.seed)
        require_cache(self.cache)
        require_networks(self.networks)
        if self.dataset.split not in (Split.train, Split.all):
            raise ConfigError(
                f"dataset.split is {self.dataset.split}: training takes the train part, and dev and test "
                "for scores, whatever is set here; leave it out"
            )
        require_comparable(self.forgetting, "training")
        lesioned = not isinstance(self.intervention, NoInterventionConfig)
        if self.networks is None and (isinstance(self.trainable, TrainPartConfig) or lesioned):
            why = "an intervention" if lesioned else f"trainable={self.trainable._target_.rpartition('.')[2]}"
            raise ConfigError(f"{why} needs networks: networks=FOLDER, written by extract.py for this model")
        if getattr(self.intervention, "fill", None) is Fill.resample:
            raise ConfigError(
                "intervention.fill=resample takes values of other texts, which training does not record: "
                "take zero, mean or position_mean"
            )
        if self.fold:
            require_foldable(self.intervention, "fold=true")
        if self.fold and not lesioned:
            raise ConfigError(
                "fold=true writes an intervention into the weights, but intervention is none: choose one, or "
                "take fold=false"
            )


@dataclass
class ExploreConfig:
    """Config of ``explore.py``.

    Attributes
    ----------
    networks : str
        Folder written by ``extract.py``, or ``user/name`` or ``user/name@revision`` of the hub.
    model : ModelConfig or None
        Model of the networks; None takes the one that they name.
    same_weights : bool
        False also accepts networks of other weights, such as those of the model before it was fine-tuned.
    port : int
        Port of the page, on this machine alone.
    open_browser : bool
        Open the page in the browser.
    space : str or None
        Folder to write the page to, to be uploaded as a Space of the hub; None serves the page here.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    NetworksError
        If the folder ``networks`` holds no networks.
    """

    networks: str = MISSING
    model: ModelConfig | None = None
    same_weights: bool = True
    threshold: ThresholdConfig = MISSING
    cache: str = "outputs/cache"
    port: int = 7860
    open_browser: bool = True
    space: str | None = None

    def __post_init__(self) -> None:
        require_cache(self.cache)
        require_networks(self.networks)
        require_at_least("port", self.port, 1)
        require_at_most("port", self.port, LARGEST_PORT)
