"""Options of the groups ``task`` and ``trainable``, and of the training loop."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from fbn_exp.interventions.config import ControlKind
from fbn_exp.models.config import Precision


class Schedule(StrEnum):
    """How the learning rate goes on from its full value, as transformers names it."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"
    constant_with_warmup = "constant_with_warmup"


@dataclass
class TaskConfig:
    """What a model is trained for; dev and test texts are other parts of the same data set."""

    _target_: str = MISSING
    _convert_: str = "all"
    dev_texts: int | None = 200
    test_texts: int | None = 500
    batch_tokens: int = 1024


@dataclass
class ClassificationTaskConfig(TaskConfig):
    """Labels of texts, by a head on the last token; an empty list of labels takes those of the data."""

    _target_: str = "fbn_exp.training.tasks.ClassificationTask"
    labels: list[str] = field(default_factory=list)
    seed: int = 0


@dataclass
class LanguageModelingTaskConfig(TaskConfig):
    """The next token of each text."""

    _target_: str = "fbn_exp.training.tasks.LanguageModelingTask"


@dataclass
class TrainableConfig:
    """Which parameters are trained; a classification head always is."""

    _target_: str = MISSING
    _convert_: str = "all"


@dataclass
class TrainAllConfig(TrainableConfig):
    """Every parameter."""

    _target_: str = "fbn_exp.training.trainable.TrainAll"


@dataclass
class TrainPartConfig(TrainableConfig):
    """Weights by whether they belong to neurons of networks, or of a random network of the same size."""

    networks: Any = "all"
    control: ControlKind | None = None
    seed: int = 0


@dataclass
class TrainInsideConfig(TrainPartConfig):
    """Only weights of the networks' neurons."""

    _target_: str = "fbn_exp.training.trainable.TrainInside"


@dataclass
class TrainOutsideConfig(TrainPartConfig):
    """Every parameter but the weights of the networks' neurons."""

    _target_: str = "fbn_exp.training.trainable.TrainOutside"


@dataclass
class TrainLoraConfig(TrainableConfig):
    """Low-rank updates of the linear maps in every block, merged at the end."""

    _target_: str = "fbn_exp.training.trainable.TrainLora"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    seed: int = 0


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
