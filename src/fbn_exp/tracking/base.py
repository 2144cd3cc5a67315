"""Interface of experiment trackers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fbn_exp.tracking.config import NoTrackingConfig

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunInfo:
    """Description of a run for a tracker.

    Parameters
    ----------
    stage : str
        Kind of run, such as ``extract`` or ``evaluate``.
    name : str
        Distinguishes the run from others, such as its command-line overrides; may be empty.
    folder : Path
        Folder of the run; the tracker writes its files below it.
    sweep : str or None
        Name shared by the runs of a sweep.
    config : Mapping
        Resolved config in plain containers.
    """

    stage: str
    name: str
    folder: Path
    sweep: str | None
    config: Mapping[str, Any]


class TrackedRun:
    """An open run of a tracker; this base class discards everything that is logged."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log numbers as one step of the run's history and in its summary; NaN stays NaN."""

    def remarks(self, lines: Sequence[str]) -> None:
        """Log caveats in the summary of the run."""

    def table(self, name: str, frame: "pd.DataFrame") -> None:
        """Log a frame without its index (wandb keeps 10,000 rows at most); missing values are empty cells."""

    def figure(self, name: str, path: Path) -> None:
        """Log a picture from a raster file such as png."""

    def page(self, name: str, path: Path) -> None:
        """Log a page of html that needs no other file."""

    def lineage(self, provenance: Mapping[str, Any], folder: Path | None = None) -> None:
        """Log the provenance of the run's networks in its config, and their folder as what it used."""

    def networks(self, name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Log all files below a folder as an artifact; they are not copied, so the folder must be kept."""


class Tracker(ABC):
    """Opens tracked runs, one at a time."""

    @abstractmethod
    def run(self, info: RunInfo) -> AbstractContextManager[TrackedRun]:
        """Open a run and close it on exit, as failed if an exception was raised."""


class NoTracker(NoTrackingConfig, Tracker):
    """Tracker that logs nowhere."""

    @contextmanager
    def run(self, info: RunInfo) -> Iterator[TrackedRun]:
        """Yield a run that discards everything."""
        yield TrackedRun()
