"""Options of the config group ``tracking``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import require_choice


class WandbMode(StrEnum):
    """How a run reaches Weights & Biases; ``offline`` writes files to sync later."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Where metrics, tables, pictures and networks are logged."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class NoTrackingConfig(TrackingConfig):
    """Log nowhere; the run folder holds everything anyway."""

    _target_: str = field(default="fbn_exp.tracking.base.NoTracker", kw_only=True, repr=False)


@dataclass
class WandbConfig(TrackingConfig):
    """Weights & Biases.

    Attributes
    ----------
    mode : WandbMode
        ``offline`` writes files, ``online`` sends, ``disabled`` does nothing.
    project : str
        Project that the runs belong to.
    entity : str or None
        User or team; None takes the account's default.
    tags : list of str
        Tags of every run.

    Raises
    ------
    ConfigError
        If there is no such mode.
    """

    _target_: str = field(default="fbn_exp.tracking.wandb.WandbTracker", kw_only=True, repr=False)
    mode: WandbMode = WandbMode.offline
    project: str = "fbn_exp"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mode = require_choice(WandbMode, "tracking.mode", self.mode)
