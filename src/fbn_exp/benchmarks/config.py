"""Options of the config group ``benchmark``."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from fbn_exp.benchmarks.harness.trust import require_no_code
from fbn_exp.benchmarks.probes import SHORT_NAMES
from fbn_exp.core.checks import LARGEST_COUNT, require, require_count
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import DatasetConfig

# length of the n-grams whose repetition is measured
NGRAM = 3
PARTS = ("test", "dev")


@dataclass
class BenchmarkConfig:
    """Benchmark that the model is scored on."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class PerplexityConfig(BenchmarkConfig):
    """Loss on held-out text: negative log-likelihood of every token but the first of each text.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to score; must not include those that networks were extracted from.
    batch_tokens : int
        Number of tokens of a batch, including padding.

    Raises
    ------
    ConfigError
        If a number is out of range, or a text may have a single token, which is not predicted.
    """

    _target_: str = field(default="fbn_exp.benchmarks.perplexity.Perplexity", kw_only=True, repr=False)
    dataset: DatasetConfig
    batch_tokens: int = 1024

    def __post_init__(self) -> None:
        _require_predicted(self.dataset)
        require_count("benchmark.batch_tokens", self.batch_tokens)


@dataclass
class DivergenceConfig(BenchmarkConfig):
    """Divergence of the edited model from the untouched one in its predictions of held-out text.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to predict; must not include those that networks were extracted from.
    batch_tokens : int
        Number of tokens of a batch, including padding. Two sets of their logits are in memory at a time: 200
        MB for 512 tokens, a vocabulary of 49,152 and float32.

    Raises
    ------
    ConfigError
        If a number is out of range, or a text may have a single token, which is not predicted.
    """

    _target_: str = field(
        default="fbn_exp.benchmarks.divergence.benchmark.Divergence", kw_only=True, repr=False
    )
    dataset: DatasetConfig
    batch_tokens: int = 512

    def __post_init__(self) -> None:
        _require_predicted(self.dataset)
        require_count("benchmark.batch_tokens", self.batch_tokens)


@dataclass
class ProbesConfig(BenchmarkConfig):
    """Bundled battery of short probe tasks.

    Attributes
    ----------
    tasks : list of str
        Short names such as ``grammar``; empty takes all.
    part : str
        ``test``, or ``dev`` for choosing a factor or a threshold; the two share no item.
    limit : int or None
        Items per task; None takes all.
    batch_size : int or str
        Batch size of lm-eval, a number or ``auto``.
    packed : bool
        Let choices share one row with their context: lm-eval's log-likelihoods to rounding, in less time.
        False scores each choice in a row of its own, as lm-eval does.

    Raises
    ------
    ConfigError
        If a task or part is unknown, or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.benchmarks.probes.battery.Probes", kw_only=True, repr=False)
    tasks: list[str] = field(default_factory=list)
    part: str = "test"
    limit: int | None = 100
    batch_size: Any = 32
    packed: bool = True

    def __post_init__(self) -> None:
        if unknown := [task for task in self.tasks if task not in SHORT_NAMES]:
            raise ConfigError(
                f"benchmark.tasks: no probe {', '.join(unknown)}; there are {', '.join(SHORT_NAMES)}"
            )
        if self.part not in PARTS:
            raise ConfigError(f"benchmark.part is {self.part!r}: one of {', '.join(PARTS)}")
        _check_lm_eval(self.limit, self.batch_size)


@dataclass
class HarnessConfig(BenchmarkConfig):
    """Tasks of lm-evaluation-harness, scored by lm-eval itself on the model as it stands in memory.

    Attributes
    ----------
    tasks : list of str
        Names of tasks or groups.
    include_path : str or None
        Folder with further task yaml files.
    trust_task_code : bool
        Run code that files in ``include_path`` name: functions, metrics that are scripts, templates without a
        sandbox. By default such files are refused before anything is loaded.
    num_fewshot : int or None
        Examples in the prompt; None takes the default of the task.
    limit : int or None
        Items per task; None takes all.
    batch_size : int or str
        Batch size of lm-eval, a number or ``auto``.
    apply_chat_template : bool
        Wrap prompts in the chat template of the tokenizer.
    packed : bool
        Let choices share one row with their context: lm-eval's log-likelihoods to rounding, in less time.
        False scores each choice in a row of its own, as lm-eval does.

    Raises
    ------
    ConfigError
        If no task is named, a number is out of range, or ``include_path`` is no folder or runs code
        that is not trusted.
    """

    _target_: str = field(default="fbn_exp.benchmarks.harness.tasks.Harness", kw_only=True, repr=False)
    tasks: list[str]
    include_path: str | None = None
    trust_task_code: bool = False
    num_fewshot: int | None = None
    limit: int | None = None
    batch_size: Any = 16
    apply_chat_template: bool = False
    packed: bool = True

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigError("benchmark.tasks is empty: name at least one task, as [hellaswag,arc_easy]")
        _check_lm_eval(self.limit, self.batch_size)
        require_count("benchmark.num_fewshot", self.num_fewshot, 0)
        if self.include_path is not None:
            if not Path(self.include_path).is_dir():
                raise ConfigError(f"benchmark.include_path: no such folder: {self.include_path}")
            if not self.trust_task_code:
                require_no_code(Path(self.include_path))


def _check_lm_eval(limit: int | None, batch_size: object) -> None:
    require_count("benchmark.limit", limit)
    if isinstance(batch_size, str):
        # lm-eval measures the batch size anew N times for auto:N
        allowed = re.fullmatch(r"auto(:\d{1,3})?|[1-9]\d{0,8}", batch_size) is not None
    else:
        allowed = type(batch_size) is int and 1 <= batch_size <= LARGEST_COUNT
    rule = f"be at least 1 or auto, and a whole number up to {LARGEST_COUNT}"
    require(allowed, "benchmark.batch_size", batch_size, rule)


@dataclass
class ClassificationConfig(BenchmarkConfig):
    """Labelled texts, scored by the likelihood of label words after a prompt, or by a classification head.

    Attributes
    ----------
    dataset : DatasetConfig
        Labelled texts; must not include those that networks were extracted from.
    prompt : str
        Prompt with ``{text}`` in place of the text; a space and the word follow it.
    words : mapping of str to str
        Word that stands for a label, such as ``science`` for ``Sci/Tech``; other labels stand for themselves.
        Words of labels that no text has are ignored with a warning.
    labels : list of str or None
        Labels whose texts are used; empty uses all texts. None uses the labels that have a word, or all
        labels for a model with a classification head.
    batch_tokens : int
        Number of tokens of a batch, including padding.

    Raises
    ------
    ConfigError
        If the prompt has no ``{text}``, a word is empty, a single label is named, or a number is out
        of range.
    """

    _target_: str = field(
        default="fbn_exp.benchmarks.classification.Classification", kw_only=True, repr=False
    )
    dataset: DatasetConfig
    prompt: str
    words: dict[str, str] = field(default_factory=dict)
    labels: list[str] | None = None
    batch_tokens: int = 1024

    def __post_init__(self) -> None:
        if "{text}" not in self.prompt:
            raise ConfigError(f"benchmark.prompt is {self.prompt!r}: needs {{text}} where the text goes")
        if self.labels is not None and len(set(self.labels)) == 1:
            raise ConfigError(
                f"benchmark.labels is [{self.labels[0]}]: name at least two, or none to take all"
            )
        if not all(self.words.values()):
            raise ConfigError("benchmark.words: no word may be empty")
        require_count("benchmark.batch_tokens", self.batch_tokens)


@dataclass
class GenerationConfig(BenchmarkConfig):
    """Continuations of prompts by the model, with measures of degeneration.

    Attributes
    ----------
    prompts : list of str
        Texts to continue.
    new_tokens : int
        Largest number of tokens to generate; a token that ends a text is not counted.
    batch_size : int
        Number of prompts that are continued at once, padded on the left.

    Raises
    ------
    ConfigError
        If there is no prompt or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.benchmarks.generation.Generation", kw_only=True, repr=False)
    prompts: list[str]
    new_tokens: int = 48
    batch_size: int = 8

    def __post_init__(self) -> None:
        if not self.prompts or not all(self.prompts):
            raise ConfigError("benchmark.prompts: name at least one prompt, none of them empty")
        require_count("benchmark.new_tokens", self.new_tokens, NGRAM + 1)
        require_count("benchmark.batch_size", self.batch_size)


def _require_predicted(dataset: DatasetConfig) -> None:
    """Require texts of at least two tokens: a text's first token is not predicted."""
    rule = "be at least 2: a text's first token is not predicted"
    require(dataset.min_tokens >= 2, "benchmark.dataset.min_tokens", dataset.min_tokens, rule)
