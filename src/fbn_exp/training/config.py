"""Options of the groups ``task`` and ``trainable``, and of the training loop."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_at_least, require_choice, require_positive
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import ControlKind, require_selection
from fbn_exp.models.config import Precision
from fbn_exp.training.checkpoints import last_checkpoint


class Schedule(StrEnum):
    """How the learning rate goes on from its full value, as transformers names it."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"
    constant_with_warmup = "constant_with_warmup"


@dataclass(kw_only=True)
class TaskConfig:
    """What a model is trained for; dev and test texts are other parts of the same data set.

    Attributes
    ----------
    dev_texts, test_texts : int or None
        How many texts of the dev and the test part are scored, at least 2; None takes all.
    batch_tokens : int
        Tokens of a batch when scoring, padding included.

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
        require_at_least("task.batch_tokens", self.batch_tokens, 1)


@dataclass
class ClassificationTaskConfig(TaskConfig):
    """Labels of texts, read by a head off each text's last token.

    Attributes
    ----------
    labels : list of str
        Only texts with one of these labels are taken; empty takes all.
    seed : int
        Of the head's initial weights.

    Raises
    ------
    ConfigError
        If a single label is named or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.training.tasks.ClassificationTask", kw_only=True, repr=False)
    labels: list[str] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.labels)) == 1:
            raise ConfigError(f"task.labels is [{self.labels[0]}]: name at least two, or none to take all")


@dataclass
class LanguageModelingTaskConfig(TaskConfig):
    """The next token of each text."""

    _target_: str = field(default="fbn_exp.training.tasks.LanguageModelingTask", kw_only=True, repr=False)


@dataclass
class TrainableConfig:
    """Which parameters are trained; a classification head always is."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class TrainAllConfig(TrainableConfig):
    """Every parameter."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainAll", kw_only=True, repr=False)


@dataclass
class TrainPartConfig(TrainableConfig):
    """Weights by whether they belong to neurons of networks, or of a random network of the same size.

    Attributes
    ----------
    networks : "all" or list of int
        Whose neurons.
    control : ControlKind or None
        Random neurons, as many, stand in for them: of which kind.
    seed : int
        Of the control's draw, at least 0.

    Raises
    ------
    ConfigError
        If ``networks`` is neither, the seed is negative, or the control is of another size.
    """

    networks: Any = "all"
    control: ControlKind | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_selection("trainable.networks", self.networks)
        require_at_least("trainable.seed", self.seed, 0)
        if self.control is not None:
            self.control = require_choice(ControlKind, "trainable.control", self.control)
            sizes = ", ".join(kind for kind in ControlKind if kind is not ControlKind.share)
            rule = f"be as large as the networks: {sizes}"
            require(self.control is not ControlKind.share, "trainable.control", self.control, rule)


@dataclass
class TrainInsideConfig(TrainPartConfig):
    """Only weights of the networks' neurons."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainInside", kw_only=True, repr=False)


@dataclass
class TrainOutsideConfig(TrainPartConfig):
    """Every parameter but the weights of the networks' neurons."""

    _target_: str = field(default="fbn_exp.training.trainable.TrainOutside", kw_only=True, repr=False)


@dataclass
class TrainLoraConfig(TrainableConfig):
    """Low-rank updates of the linear maps in every block (Hu et al. 2022), merged at the end.

    Attributes
    ----------
    rank : int
        Of the updates, at least 1.
    alpha : float
        The update counts alpha / rank.
    dropout : float
        Share of inputs that an update does not see in a step, from 0 to below 1.
    seed : int
        Of the initial values.

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
        require_at_least("trainable.rank", self.rank, 1)
        require_positive("trainable.alpha", self.alpha)
        require(0 <= self.dropout < 1, "trainable.dropout", self.dropout, "be at least 0 and below 1")


@dataclass
class TrainerConfig:
    """How it is trained.

    Attributes
    ----------
    max_steps : int or None
        Updates; wins over ``epochs``.
    epochs : float
        Passes over the train part.
    learning_rate : float
        At its largest.
    schedule : Schedule
        How the learning rate goes on from its full value, as transformers names it.
    warmup_steps : int
        Updates over which the learning rate rises to its full value.
    weight_decay : float
        AdamW's.
    max_gradient_norm : float
        A larger gradient is scaled down to this norm.
    batch_size : int
        Texts of one forward pass of one process.
    gradient_accumulation : int
        Forward passes that make one update.
    precision : Precision
        Of products in the forward pass, over weights in float32; auto takes bfloat16 on a GPU that has it.
    evaluation_interval : int
        Updates after which the dev part is scored and a checkpoint written.
    patience : int or None
        Evaluations without a lower loss after which training stops; the best checkpoint is kept. None never
        stops early.
    seed : int
        Of the order of texts and of dropout.
    resume : str or None
        A run folder to go on from, or one of its checkpoints.

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
        least |= {"evaluation_interval": 1, "warmup_steps": 0, "weight_decay": 0, "seed": 0}
        for name, limit in least.items():
            if (value := getattr(self, name)) is not None:
                require_at_least(f"trainer.{name}", value, limit)
        for name in ("epochs", "learning_rate", "max_gradient_norm"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"trainer.{name}", value, "be positive and finite")
        self.schedule = require_choice(Schedule, "trainer.schedule", self.schedule)
        self.precision = require_choice(Precision, "trainer.precision", self.precision)
        rule = "not be float16, in which small gradients vanish; take bfloat16, or auto"
        require(self.precision is not Precision.float16, "trainer.precision", self.precision, rule)
        if self.resume is not None:
            last_checkpoint(Path(self.resume).expanduser())
