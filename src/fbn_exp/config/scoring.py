"""One dataclass per option of the groups that ``evaluate.py`` adds: interventions and benchmarks."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from fbn_exp.config.options import DatasetConfig


@dataclass
class InterventionConfig:
    """What is done to the neurons of networks: ``all`` of them, or a list of indices."""

    _target_: str = "fbn_exp.interventions.NoIntervention"
    _convert_: str = "all"
    networks: Any = "all"


@dataclass
class InhibitConfig(InterventionConfig):
    """Members are 0."""

    _target_: str = "fbn_exp.interventions.Inhibit"


@dataclass
class ScaleConfig(InterventionConfig):
    """Members are multiplied, by one factor or by one for each network."""

    _target_: str = "fbn_exp.interventions.Scale"
    factor: Any = 0.0


@dataclass
class AmplifyConfig(InterventionConfig):
    """Members are multiplied by more than 1."""

    _target_: str = "fbn_exp.interventions.Amplify"
    factor: Any = 1.1


@dataclass
class ShiftConfig(InterventionConfig):
    """A constant is added to members."""

    _target_: str = "fbn_exp.interventions.Shift"
    value: Any = 1.0


@dataclass
class MeanConfig(InterventionConfig):
    """Members are replaced by their mean over the extraction texts."""

    _target_: str = "fbn_exp.interventions.Mean"


@dataclass
class PreserveConfig(InterventionConfig):
    """Everything outside is 0."""

    _target_: str = "fbn_exp.interventions.Preserve"


@dataclass
class BenchmarkConfig:
    """What the model is scored on."""

    _target_: str = MISSING
    _convert_: str = "all"


@dataclass
class PerplexityConfig(BenchmarkConfig):
    """Loss on held-out text."""

    _target_: str = "fbn_exp.benchmarks.perplexity.Perplexity"
    dataset: DatasetConfig = MISSING
    batch_tokens: int = 1024


@dataclass
class ProbesConfig(BenchmarkConfig):
    """The bundled battery of short tasks; an empty list of tasks takes all."""

    _target_: str = "fbn_exp.benchmarks.probes.Probes"
    tasks: list[str] = field(default_factory=list)
    part: str = "test"
    limit: int | None = 100
    batch_size: Any = 32


@dataclass
class HarnessConfig(BenchmarkConfig):
    """Tasks of lm-evaluation-harness."""

    _target_: str = "fbn_exp.benchmarks.harness.Harness"
    tasks: list[str] = MISSING
    include_path: str | None = None
    num_fewshot: int | None = None
    limit: int | None = None
    batch_size: Any = 16
    apply_chat_template: bool = False


@dataclass
class ClassificationConfig(BenchmarkConfig):
    """Labelled texts, scored by the likelihood of label words after a prompt."""

    _target_: str = "fbn_exp.benchmarks.classification.Classification"
    dataset: DatasetConfig = MISSING
    prompt: str = MISSING
    words: dict[str, str] = field(default_factory=dict)
    labels: list[str] | None = None
    batch_tokens: int = 1024


@dataclass
class GenerationConfig(BenchmarkConfig):
    """Texts written by the model side by side, with measures of degeneration."""

    _target_: str = "fbn_exp.benchmarks.generation.Generation"
    prompts: list[str] = MISSING
    new_tokens: int = 48
    batch_size: int = 8


@dataclass
class ControlsConfig:
    """Random networks to compare with: draws of each kind.

    ``share`` adds a kind that is not of the networks' size: that share of all neurons, drawn at random (the
    paper's control, 0.15); null for none.
    """

    repeats: int = 5
    seed: int = 0
    share: float | None = None


@dataclass
class ExportConfig:
    """Where the model with the intervention in its weights is saved, null for nowhere."""

    path: str | None = None
