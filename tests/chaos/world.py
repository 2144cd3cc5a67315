"""What a run leaves: results that must be the same after every attack, and what is kept for later runs."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from runs import QUIET, Ended, Run

from fbn_exp.core.errors import FbnError
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.training.checkpoints import last_checkpoint

TINY = ("model=tiny", "dataset.n_texts=6", "dataset.tokens_per_text=48", "method.n_components=4", *QUIET)
# numbers of a clock or of the machine
MEASURED = ("seconds", "per_second", "memory/")
# logs, what training goes on from, and files that are not whole yet
SET_ASIDE = {"logs", "checkpoints", "."}
KEPT = ("networks/*/networks.*", "scores/*.json", "models/*/*")


@dataclass(frozen=True)
class Job:
    """A command, and where it writes."""

    script: str
    overrides: tuple[str, ...]
    sweep: bool = False

    def arguments(self, place: Path, run: str = "run") -> list[str]:
        """Overrides of a run into ``place``."""
        folder = f"hydra.{'sweep' if self.sweep else 'run'}.dir={place / run}"
        return [*(["-m"] if self.sweep else []), *self.overrides, f"cache={place / 'cache'}", folder]


def jobs(shared: Path) -> dict[str, Job]:
    """The commands that are attacked; ``shared`` holds the files that they read."""
    texts = ("dataset=files", f"dataset.paths=[{shared / 'marked.jsonl'}]", "dataset.label_field=label")
    training = ("dataset.min_tokens=4", "task.dev_texts=6", "task.test_texts=6", "trainer.max_steps=6")
    scoring = ("benchmark.dataset.n_texts=3", "controls.repeats=1", "intervention.factor=0,2")
    return {
        "extract": Job("extract", TINY),
        "convert": Job("extract", (*TINY, f"model.name={shared / 'tiny.gguf'}")),
        "sweep": Job("evaluate", (*TINY, *scoring), sweep=True),
        "train": Job("train", ("model=tiny", *texts, *training, "trainer.evaluation_interval=2", *QUIET)),
    }


def write_texts(file: Path) -> None:
    """Write labelled texts to train on."""
    rows = [
        {
            "text": f"text {number} says {'+' if number % 3 else '-'} and more",
            "label": ("down", "up")[number % 3 > 0],
        }
        for number in range(120)
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def results(place: Path, run: str = "run") -> dict[str, Any]:
    """Numbers and data of a run and of the cache, by path; without clocks, logs, pictures and checkpoints."""
    folder, found = place / run, {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".csv", ".safetensors") and not SET_ASIDE & {*file.parts, file.name[0]}:
            found[f"run/{file.relative_to(folder)}"] = _content(file, place)
    for file in kept(place):
        found[f"cache/{file}"] = (place / "cache" / file).read_bytes()
    return found


def _content(file: Path, place: Path) -> Any:
    if file.name == "result.json":
        result = json.loads(file.read_text())
        result["metrics"] = {name: value for name, value in result["metrics"].items() if not _measured(name)}
        return json.dumps(result)
    if file.suffix == ".csv":
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        return table[[name for name in table if not _measured(name)]].to_csv().replace(str(place), "")
    return file.read_bytes()


def _measured(name: str) -> bool:
    return any(word in name for word in MEASURED)


def kept(place: Path) -> dict[str, tuple[int, int]]:
    """Whole entries of the cache: inode and time of change by path."""
    cache = place / "cache"
    files = [file for pattern in KEPT for file in cache.glob(pattern)]
    whole = [
        file for file in files if not any(part.startswith(".") for part in file.relative_to(cache).parts)
    ]
    stats = {str(file.relative_to(cache)): file.stat() for file in whole}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def unusable(place: Path) -> str:
    """Say which file of a run folder has its final name, but is not whole; empty if all are."""
    for file in (place / "run").rglob("*.json"):
        if "checkpoints" in file.parts:
            continue
        try:
            json.loads(file.read_text())
        except ValueError:
            return f"{file.relative_to(place)} is not whole"
    if (place / "run" / "networks").exists():
        try:
            FunctionalNetworks.load(place / "run" / "networks")
        except FbnError as error:
            return str(error)
    return ""


def resumable(place: Path) -> bool:
    """Return True if a training run has a complete checkpoint."""
    try:
        last_checkpoint(place / "run")
    except FbnError:
        return False
    return True


@dataclass
class World:
    """Undisturbed runs of all jobs, to compare with."""

    context: Any
    folder: Path
    jobs: dict[str, Job]
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def reference(self, name: str) -> Path:
        """Folder of a job's undisturbed run."""
        return self.folder / f"reference-{name}"

    def start(self, job: Job, place: Path, run: str = "run", more: tuple[str, ...] = (), **how: Any) -> Run:
        """Start a job in a folder."""
        return Run(self.context, job.script, [*job.arguments(place, run), *more], **how)

    def completed(self, job: Job, place: Path, run: str = "run", more: tuple[str, ...] = ()) -> Ended:
        """A job that is left alone."""
        return self.start(job, place, run, more).ended()

    def copied(self, name: str, place: Path) -> None:
        """Copy what the undisturbed run of a job has left."""
        shutil.copytree(self.reference(name), place)
