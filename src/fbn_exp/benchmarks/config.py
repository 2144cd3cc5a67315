"""Options of the config group ``benchmark``."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_count
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import DatasetConfig

# length of the n-grams whose repetition is measured
NGRAM = 3
AUTO = "auto"
# edits of a batch: more would only make its activations larger
MOST_EDITS = 256


@dataclass
class BenchmarkConfig:
    """Benchmark that the model is scored on."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class SharedBatchesConfig(BenchmarkConfig):
    """Benchmark whose batches can be shared by several edits.

    Attributes
    ----------
    edits_per_batch : int or str
        Number of edits that share a batch, each with rows of its own; ``auto`` takes as many as a batch on an
        accelerator needs to keep it busy, and 1 on a processor, where more are not faster.
    """

    edits_per_batch: Any = field(default=AUTO, kw_only=True)

    def __post_init__(self) -> None:
        allowed = self.edits_per_batch == AUTO or (
            type(self.edits_per_batch) is int and 1 <= self.edits_per_batch <= MOST_EDITS
        )
        rule = f"be {AUTO}, or a whole number from 1 to {MOST_EDITS}"
        require(allowed, "benchmark.edits_per_batch", self.edits_per_batch, rule)


@dataclass
class PerplexityConfig(SharedBatchesConfig):
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
        super().__post_init__()
        _require_predicted(self.dataset)
        require_count("benchmark.batch_tokens", self.batch_tokens)


@dataclass
class DivergenceConfig(SharedBatchesConfig):
    """Divergence of the edited model from the untouched one in its predictions of held-out text.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to predict; must not include those that networks were extracted from.
    batch_tokens : int
        Number of tokens of a batch, including padding. Logits are made for a part of them at a time, and take
        about 150 MB whatever the vocabulary.

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
        super().__post_init__()
        _require_predicted(self.dataset)
        require_count("benchmark.batch_tokens", self.batch_tokens)


@dataclass
class ClassificationConfig(SharedBatchesConfig):
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
        Labels whose texts are used; empty uses all texts. None uses the labels that have a word, or those
        that a model's classification head knows.
    batch_tokens : int
        Number of tokens of a batch, including padding.
    probe_texts : int
        Number of texts of another part (dev, or train where dev is scored) whose states a linear probe is
        fitted to, under the same edit; 0 fits none. Needs a model with a classification head.

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
    probe_texts: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("benchmark.probe_texts", self.probe_texts, 0)
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
    score_prompts : bool
        Score the prompts' own tokens too, in nats per token.

    Raises
    ------
    ConfigError
        If there is no prompt or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.benchmarks.generation.Generation", kw_only=True, repr=False)
    prompts: list[str]
    new_tokens: int = 48
    batch_size: int = 8
    score_prompts: bool = False

    def __post_init__(self) -> None:
        if not self.prompts or not all(self.prompts):
            raise ConfigError("benchmark.prompts: name at least one prompt, none of them empty")
        require_count("benchmark.new_tokens", self.new_tokens, NGRAM + 1)
        require_count("benchmark.batch_size", self.batch_size)


def _require_predicted(dataset: DatasetConfig) -> None:
    """Require texts of at least two tokens: a text's first token is not predicted."""
    rule = "be at least 2: a text's first token is not predicted"
    require(dataset.min_tokens >= 2, "benchmark.dataset.min_tokens", dataset.min_tokens, rule)
