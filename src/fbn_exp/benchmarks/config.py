"""Options of the config group ``benchmark``."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from fbn_exp.datasets.config import DatasetConfig


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

    _target_: str = "fbn_exp.benchmarks.probes.battery.Probes"
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
