"""Options of the config group ``tracking``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fbn_exp.core.checks import require_choice


class WandbMode(StrEnum):
    """Mode of Weights & Biases; ``offline`` writes files to be synced later."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Tracker that metrics, tables, pictures and networks are logged to."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class NoTrackingConfig(TrackingConfig):
    """No tracker; the run folder holds all results."""

    _target_: str = field(default="fbn_exp.tracking.base.NoTracker", kw_only=True, repr=False)


@dataclass
class WandbConfig(TrackingConfig):
    """Weights & Biases.

    Attributes
    ----------
    mode : WandbMode
        ``offline`` writes files, ``online`` uploads, ``disabled`` logs nothing.
    project : str
        Project of the runs.
    entity : str or None
        User or team; None takes the account's default.
    tags : list of str
        Tags of every run.

    Raises
    ------
    ConfigError
        If ``mode`` is not one of these.
    """

    _target_: str = field(default="fbn_exp.tracking.wandb.WandbTracker", kw_only=True, repr=False)
    mode: WandbMode = WandbMode.offline
    project: str = "fbn_exp"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mode = require_choice(WandbMode, "tracking.mode", self.mode)
