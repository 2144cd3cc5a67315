"""Options of the config group ``intervention``, and of controls and export."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ControlKind(StrEnum):
    """What random networks have in common with the real one.

    ``random``, ``per_block`` and ``activation`` are of its size, ``share`` is a fixed share of all neurons.
    """

    random = "random"
    per_block = "per_block"
    activation = "activation"
    share = "share"


@dataclass
class InterventionConfig:
    """What is done to the neurons of networks: ``all`` of them, or a list of indices."""

    _target_: str = "fbn_exp.interventions.rules.NoIntervention"
    _convert_: str = "all"
    networks: Any = "all"


@dataclass
class InhibitConfig(InterventionConfig):
    """Members are 0."""

    _target_: str = "fbn_exp.interventions.rules.Inhibit"


@dataclass
class ScaleConfig(InterventionConfig):
    """Members are multiplied, by one factor or by one for each network."""

    _target_: str = "fbn_exp.interventions.rules.Scale"
    factor: Any = 0.0


@dataclass
class AmplifyConfig(InterventionConfig):
    """Members are multiplied by more than 1."""

    _target_: str = "fbn_exp.interventions.rules.Amplify"
    factor: Any = 1.1


@dataclass
class ShiftConfig(InterventionConfig):
    """A constant is added to members."""

    _target_: str = "fbn_exp.interventions.rules.Shift"
    value: Any = 1.0


@dataclass
class MeanConfig(InterventionConfig):
    """Members are replaced by their mean over the extraction texts."""

    _target_: str = "fbn_exp.interventions.rules.Mean"


@dataclass
class PreserveConfig(InterventionConfig):
    """Everything outside is 0."""

    _target_: str = "fbn_exp.interventions.rules.Preserve"


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
