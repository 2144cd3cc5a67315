"""Interface of experiment trackers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fbn_exp.tracking.config import NoTrackingConfig

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told about a run.

    Parameters
    ----------
    stage : str
        Kind of run, as ``extract`` or ``evaluate``.
    name : str
        What distinguishes the run, as its command-line overrides; may be empty.
    folder : Path
        Folder of the run; a tracker's own files go below it.
    sweep : str or None
        Name that the runs of a sweep share.
    config : Mapping
        Resolved config in plain containers.
    """

    stage: str
    name: str
    folder: Path
    sweep: str | None
    config: Mapping[str, Any]


class TrackedRun:
    """An open run, and what can be logged to it; this one forgets everything."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log numbers, as one step of the run's history and in its summary; NaN stays NaN."""

    def table(self, name: str, frame: "pd.DataFrame") -> None:
        """Log a frame without its index, in wandb up to 10,000 rows; missing values are empty cells."""

    def figure(self, name: str, path: Path) -> None:
        """Log a picture from a raster file such as png."""

    def lineage(self, provenance: Mapping[str, Any]) -> None:
        """Log where the networks of a run come from, in its config."""

    def networks(self, name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Log all files below a folder as an artifact; they are not copied, so they must stay."""


class Tracker(ABC):
    """Opens tracked runs, several one after another if need be."""

    @abstractmethod
    def run(self, info: RunInfo) -> AbstractContextManager[TrackedRun]:
        """Open a run, and close it whatever happens: as failed where an exception passes through."""


class NoTracker(NoTrackingConfig, Tracker):
    """Logs nowhere."""

    @contextmanager
    def run(self, info: RunInfo) -> Iterator[TrackedRun]:
        """Give a run that forgets everything."""
        yield TrackedRun()
