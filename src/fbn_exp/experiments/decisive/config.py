"""Options of the experiments that decide between explanations: what is predicted, and how it is judged."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_choice, require_count, require_draws, require_positive
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import ControlKind, Fill, Members, Place


class Decisive(StrEnum):
    """Question that an experiment decides."""

    sink = "sink"
    ica = "ica"
    preservation = "preservation"
    share = "share"


@dataclass
class DecisiveConfig:
    """What an experiment asks, predicts and concludes, said before it is run and printed with its result.

    Attributes
    ----------
    name : Decisive
        Question that is decided.
    question : str
        The question in words.
    prediction : str
        Prediction that can fail, in words.
    design : str
        What is done, and to how much, in words.
    rule : str
        Criterion of the verdict in words; the numbers in it are fields.
    endpoint : str
        Metric that the rule is about.
    alpha : float
        Level of all tests and intervals.
    equivalent : float
        Largest difference, in units of the endpoint, that counts as none.

    Raises
    ------
    ConfigError
        If a number is out of range, or a text is empty.
    """

    name: Decisive = MISSING
    question: str = MISSING
    prediction: str = MISSING
    design: str = MISSING
    rule: str = MISSING
    endpoint: str = MISSING
    alpha: float = field(default=0.05, kw_only=True)
    equivalent: float = field(default=MISSING, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("question", "prediction", "design", "rule", "endpoint"):
            text = getattr(self, name)
            require(bool(text.strip()), f"decisive.{name}", text, "say something")
        require(0 < self.alpha < 1, "decisive.alpha", self.alpha, "be above 0 and below 1")
        require_positive("decisive.equivalent", self.equivalent)


@dataclass
class SinkConfig(DecisiveConfig):
    """Whether what lesions of networks break is the attention sink.

    Attributes
    ----------
    second_endpoint : str
        Metric that is judged by the same rule beside it.
    control : ControlKind
        Kind of control that harm is counted from.
    lesion : str
        Lesion of a job, as ``members/fill/tokens``.
    claim : str
        Lesion whose harm is to be explained, in the same form.
    remedies : list of str
        Lesions that leave the sink alone, in the same form.
    share : float
        Share of the excess harm that has to go with each remedy.
    draws : int
        Draws of each kind of control for the claim and the remedies.
    other_draws : int
        Draws of each kind of control for all other lesions.

    Raises
    ------
    ConfigError
        If a number is out of range, there are no remedies, or a lesion is none.
    """

    second_endpoint: str = MISSING
    control: ControlKind = ControlKind.random
    lesion: str = MISSING
    claim: str = MISSING
    remedies: list[str] = MISSING
    share: float = 0.5
    draws: int = 99
    other_draws: int = 19

    def __post_init__(self) -> None:
        super().__post_init__()
        self.control = require_choice(ControlKind, "decisive.control", self.control)
        require(self.control.is_chance, "decisive.control", self.control, "be a kind of chance")
        require(0 < self.share <= 1, "decisive.share", self.share, "be above 0 and at most 1")
        require(len(self.remedies) > 0, "decisive.remedies", self.remedies, "name at least one lesion")
        require_draws("decisive.draws", self.draws)
        require_count("decisive.other_draws", self.other_draws)
        for name, lesions in {
            "lesion": [self.lesion],
            "claim": [self.claim],
            "remedies": self.remedies,
        }.items():
            for lesion in lesions:
                _require_lesion(f"decisive.{name}", lesion)


@dataclass
class ClassifierConfig(DecisiveConfig):
    """Question about classifiers that a sweep of ``train.py`` has fine-tuned, several for each task.

    Attributes
    ----------
    classifiers : str or None
        Folder of that sweep; None where ``model.name`` names the classifiers.
    classifier : str
        Classifier of a job, as a seed.
    fine_tuned : str
        Name of the model that was fine-tuned, for reading; empty takes that of ``model``.
    """

    classifiers: str | None = field(default=None, kw_only=True)
    classifier: str = field(default="", kw_only=True)
    fine_tuned: str = field(default="", kw_only=True)

    def named(self, model: str) -> str:
        """Name of the model that was fine-tuned."""
        return self.fine_tuned or model


@dataclass
class ShareConfig(ClassifierConfig):
    """Whether networks do more harm than a share of random neurons, with their members and without."""


@dataclass
class PreservationConfig(ClassifierConfig):
    """Whether the neurons of networks are enough for a task, and others or none are not.

    Attributes
    ----------
    second_endpoint : str
        Metric of a probe that is refitted to the states, said beside the first.
    components : int
        Number of networks whose preservation is judged.
    fill : Fill
        What all other neurons are moved to where it is judged.
    setting : str
        Preservation of a job, as ``members/fill/components``.
    share : float
        Share of the untouched score above the anchor that has to remain.
    draws, other_draws : int
        Draws of as many random neurons, where it is judged and elsewhere.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    second_endpoint: str = "probe_balanced_acc"
    components: int = MISSING
    fill: Fill = Fill.zero
    setting: str = MISSING
    share: float = 0.95
    draws: int = 19
    other_draws: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fill = require_choice(Fill, "decisive.fill", self.fill)
        require_count("decisive.components", self.components)
        require(0 < self.share <= 1, "decisive.share", self.share, "be above 0 and at most 1")
        require_draws("decisive.draws", self.draws)
        require_count("decisive.other_draws", self.other_draws)

    @property
    def judged(self) -> str:
        """The preservation that is judged, in the form of ``setting``."""
        return f"{Members.all.value}/{self.fill.value}/{self.components}"


@dataclass
class ICAClaimConfig(DecisiveConfig):
    """Whether networks of ICA are more selective for tasks than other directions of their subspace.

    Attributes
    ----------
    second_endpoint : str
        Metric of items that are right or wrong, judged beside it and used for double dissociations.
    direction : str
        Direction of a job, as ``class of the method/index of the network``.
    rotated : str
        Direction of the job that draws rotations, in the same form.
    items : int
        Items of each task.
    rotations : int
        Random rotations, of each of which one direction is taken.
    per_method : int
        Networks of each method, from the first on.
    texts : int
        Texts that networks are fitted to.
    energy : float
        Share of the energy of deviations that every direction removes.
    permutations : int
        Permutations of directions, and of tasks over items.
    equivalent : float
        Largest addition to the rotations' selectivity that counts as none, as a share of it.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    second_endpoint: str = MISSING
    direction: str = MISSING
    rotated: str = MISSING
    items: int = 240
    rotations: int = 39
    per_method: int = 10
    texts: int = 500
    energy: float = 0.04
    permutations: int = 999

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("decisive.items", self.items, 2)
        require_draws("decisive.rotations", self.rotations)
        require_count("decisive.per_method", self.per_method)
        require_count("decisive.texts", self.texts, 2)
        require(0 < self.energy <= 1, "decisive.energy", self.energy, "be above 0 and at most 1")
        require_draws("decisive.permutations", self.permutations)


def _require_lesion(name: str, text: str) -> None:
    """Refuse a text that is not ``members/fill/tokens``."""
    parts = text.split("/")
    if len(parts) != 3:
        raise ConfigError(f"{name} is {text!r}: members/fill/tokens, such as all/zero/first_spared")
    for kind, part in zip((Members, Fill, Place), parts, strict=True):
        require_choice(kind, name, part)
