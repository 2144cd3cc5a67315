"""Log what a run left in its folder to the tracker."""

from collections.abc import Mapping
from typing import Any

from fbn_exp.core.run_folder import RunFolder
from fbn_exp.tracking.base import TrackedRun


def track(tracked: TrackedRun, folder: RunFolder, provenance: Mapping[str, Any] | None = None) -> None:
    """Log numbers, tables and pictures, and the networks that the run started from.

    Parameters
    ----------
    tracked : TrackedRun
        Open run of a tracker.
    folder : RunFolder
        What the run left.
    provenance : mapping or None
        Of the networks that were used; None where there are none, or the run made them itself.
    """
    tracked.metrics(folder.metrics)
    for name, table in folder.tables.items():
        tracked.table(name, table)
    for name, file in folder.artifacts.items():
        if name.startswith("figures/"):
            tracked.figure(name, file)
    if provenance is not None:
        tracked.lineage(provenance)
