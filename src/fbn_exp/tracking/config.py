"""Options of the config group ``tracking``."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING


class WandbMode(StrEnum):
    """How a run reaches Weights & Biases; ``offline`` writes files to sync later."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


@dataclass
class TrackingConfig:
    """Where metrics, tables, pictures and networks are logged."""

    _target_: str = MISSING


@dataclass
class NoTrackingConfig(TrackingConfig):
    """Log nowhere; the run folder holds everything anyway."""

    _target_: str = "fbn_exp.tracking.base.NoTracker"


@dataclass
class WandbConfig(TrackingConfig):
    """Weights & Biases."""

    _target_: str = "fbn_exp.tracking.wandb.WandbTracker"
    mode: WandbMode = WandbMode.offline
    project: str = "fbn_exp"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)
