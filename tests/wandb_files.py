"""Read offline wandb runs back from the files that they leave."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RecordedRun:
    """What one .wandb file says; keys of nested values are joined with dots, NaN reads "NaN"."""

    folder: Path
    records: list[tuple[str, dict[str, Any]]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for each, content in self.records if each == kind]

    @property
    def run(self) -> dict[str, Any]:
        """display_name, run_group, job_type, project and the like."""
        return self.of("run")[0]

    @property
    def config(self) -> dict[str, Any]:
        return {key: value for key, value in self.run["config"]["update"].items() if key != "_wandb"}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [_own(record["item"]) for record in self.of("history")]

    @property
    def summary(self) -> dict[str, Any]:
        return {key: value for record in self.of("summary") for key, value in _own(record["update"]).items()}

    @property
    def exit_code(self) -> int | None:
        """None where the run was never closed."""
        return self.of("exit")[0]["exit_code"] if self.of("exit") else None

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """By name: type, metadata and manifest."""
        return {record["name"]: record for record in self.of("artifact")}

    def media(self, key: str) -> Path:
        """File of the table or figure that was logged under a name."""
        return self.folder / "files" / self.summary[f"{key}.path"]


def recorded_runs(folder: Path) -> list[RecordedRun]:
    """All runs with files below ``folder/wandb``, oldest first."""
    logs = sorted(folder.glob("wandb/*run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    return [RecordedRun(log.parent, _records(log)) for log in logs]


def _records(log: Path) -> list[tuple[str, dict[str, Any]]]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [(record["type"], record.get(record["type"], {})) for record in map(json.loads, lines)]


def _own(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}
