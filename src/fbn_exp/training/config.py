"""Options of the groups ``task`` and ``trainable``, and of the training loop."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from fbn_exp.core.checks import (
    LARGEST_COUNT,
    require,
    require_at_least,
    require_at_most,
    require_choice,
    require_count,
    require_positive,
    require_seed,
)
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import ControlKind, require_selection
from fbn_exp.models.config import Precision
from fbn_exp.training.checkpoints import last_checkpoint


class Schedule(StrEnum):
    """Schedule of the learning rate after warm-up, as named in transformers."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"
    constant_with_warmup = "constant_with_warmup"


@dataclass(kw_only=True)
class TaskConfig:
    """Task that a model is trained on; dev and test texts are other parts of the same data set.

    Attributes
    ----------
    dev_texts, test_texts : int or None
        Number of dev and test texts that are scored, at least 2; None scores all.
    batch_tokens : int
        Tokens of a batch in scoring, padding included.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    dev_texts: int | None = 200
    test_texts: int | None = 500
    batch_tokens: int = 1024

    def __post_init__(self) -> None:
        for name in ("dev_texts", "test_texts"):
            if (value := getattr(self, name)) is not None:
                require(value >= 2, f"task.{name}", value, "be at least 2, or null for all")
                require_count(f"task.{name}", value)
        require_count("task.batch_tokens", self.batch_tokens)


@dataclass
class ClassificationTaskConfig(TaskConfig):
    """Classification of texts by a head on their last token.

    Attributes
    ----------
    labels : list of str
        Only texts with one of these labels are used; empty uses all texts.
    balanced : bool
        True trains on as many texts of each label, those of the rarest; dev and test texts stay as they are.
    seed : int
        Seed of the head's initial weights.

    Raises
    ------
    ConfigError
        If only one label is named or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.training.tasks.ClassificationTask", kw_only=True, repr=False)
    labels: list[str] = field(default_factory=list)
    balanced: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_seed("task.seed", self.seed)
        if len(set(self.labels)) == 1:
            raise ConfigError(f"task.labels is [{self.labels[0]}]: name at least two, or none to take all")


@dataclass
class LanguageModelingTaskConfig(TaskConfig):
    """Prediction of the next token."""

    _target_: str = field(default="fbn_exp.training.tasks.LanguageModelingTask", kw_only=True, repr=False)


@dataclass
class TrainableConfig:
    """Choice of the parameters that are trained; a classification head is always trained."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class TrainAllConfig(TrainableConfig):
    """Train every parameter."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainAll", kw_only=True, repr=False)


@dataclass
class TrainLastConfig(TrainableConfig):
    """Train the last decoder blocks; no gradient passes through those before them, which saves their time.

    Attributes
    ----------
    blocks : int
        Number of blocks, at least 1.

    Raises
    ------
    ConfigError
        If it is out of range.
    """

    _target_: str = field(default="fbn_exp.training.trainable.TrainLast", kw_only=True, repr=False)
    blocks: int = 8

    def __post_init__(self) -> None:
        require_count("trainable.blocks", self.blocks)


@dataclass
class TrainPartConfig(TrainableConfig):
    """Train weights by their neurons: those of networks, or of a random network of the same size.

    Attributes
    ----------
    networks : "all" or list of int
        Networks that the neurons belong to.
    control : ControlKind or None
        Kind of random neurons, equal in number, that replace those of the networks; None replaces none.
    seed : int
        Seed of the control's draw, at least 0.

    Raises
    ------
    ConfigError
        If ``networks`` is neither, the seed is negative, or the control is of another size than the networks.
    """

    networks: Any = "all"
    control: ControlKind | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.networks = require_selection("trainable.networks", self.networks)
        require_seed("trainable.seed", self.seed)
        if self.control is not None:
            self.control = require_choice(ControlKind, "trainable.control", self.control)
            matched = (ControlKind.random, ControlKind.per_block, ControlKind.activation)
            rule = f"be as many neurons as the networks': {', '.join(matched)}"
            require(self.control in matched, "trainable.control", self.control, rule)


@dataclass
class TrainInsideConfig(TrainPartConfig):
    """Train only the weights of the networks' neurons."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainInside", kw_only=True, repr=False)


@dataclass
class TrainOutsideConfig(TrainPartConfig):
    """Train every parameter but the weights of the networks' neurons."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainOutside", kw_only=True, repr=False)


@dataclass
class TrainLoraConfig(TrainableConfig):
    """Train low-rank updates of the linear maps in every block (Hu et al. 2022), merged at the end.

    Attributes
    ----------
    rank : int
        Rank of the updates, at least 1.
    alpha : float
        The updates are scaled by alpha / rank.
    dropout : float
        Dropout probability of the updates' inputs, from 0 to below 1.
    seed : int
        Seed of the initial values.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.training.trainable.TrainLora", kw_only=True, repr=False)
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_count("trainable.rank", self.rank)
        require_positive("trainable.alpha", self.alpha)
        require(0 <= self.dropout < 1, "trainable.dropout", self.dropout, "be at least 0 and below 1")
        require_seed("trainable.seed", self.seed)


@dataclass
class TrainerConfig:
    """Settings of the training loop.

    Attributes
    ----------
    max_steps : int or None
        Number of updates; takes precedence over ``epochs``.
    epochs : float
        Passes over the train part.
    learning_rate : float
        Peak learning rate.
    schedule : Schedule
        Schedule of the learning rate after warm-up, as named in transformers.
    warmup_steps : int
        Updates over which the learning rate rises to its peak.
    weight_decay : float
        Weight decay of AdamW.
    max_gradient_norm : float
        A larger gradient is scaled down to this norm.
    batch_size : int
        Texts per forward pass of each process.
    gradient_accumulation : int
        Forward passes per update.
    precision : Precision
        Precision of the forward pass over float32 weights; auto takes bfloat16 on a GPU that supports it.
    evaluation_interval : int
        Updates between two scorings of the dev part, each with a checkpoint.
    patience : int or None
        Evaluations without a lower loss after which training stops, keeping the best checkpoint;
        None disables early stopping.
    seed : int
        Seed of the order of texts and of dropout.
    resume : str or None
        Run folder to resume, or one of its checkpoints.

    Raises
    ------
    ConfigError
        If a number is out of range, or the precision is float16.
    TrainingError
        If ``resume`` holds no complete checkpoint.
    """

    max_steps: int | None = None
    epochs: float = 3.0
    learning_rate: float = 5e-5
    schedule: Schedule = Schedule.linear
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    batch_size: int = 8
    gradient_accumulation: int = 1
    precision: Precision = Precision.auto
    evaluation_interval: int = 50
    patience: int | None = 5
    seed: int = 0
    resume: str | None = None

    def __post_init__(self) -> None:
        least = {"max_steps": 1, "patience": 1, "batch_size": 1, "gradient_accumulation": 1}
        least |= {"evaluation_interval": 1, "warmup_steps": 0}
        for name, limit in least.items():
            require_count(f"trainer.{name}", getattr(self, name), limit)
        require_seed("trainer.seed", self.seed)
        require_at_least("trainer.weight_decay", self.weight_decay, 0)
        for name in ("epochs", "learning_rate", "max_gradient_norm"):
            require_positive(f"trainer.{name}", getattr(self, name))
        require_at_most("trainer.epochs", self.epochs, LARGEST_COUNT)
        self.schedule = require_choice(Schedule, "trainer.schedule", self.schedule)
        self.precision = require_choice(Precision, "trainer.precision", self.precision)
        rule = "not be float16, in which small gradients vanish; take bfloat16, or auto"
        require(self.precision is not Precision.float16, "trainer.precision", self.precision, rule)
        if self.resume is not None:
            last_checkpoint(Path(self.resume).expanduser())
