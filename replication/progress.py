"""How long a replication still takes, from the seconds that its steps took before."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner import DONE
from step import MODELS
from steps import STEPS

from fbn_exp.core.files import new_file

# finished steps of earlier runs, on cores that other work shared; seconds of this machine lie beside its runs
RECORDS = Path(__file__).parent / "records"
# the same file as lies beside runs, of a run of the quick variant
QUICK = RECORDS / "quick_seconds.json"


@dataclass
class Seconds:
    """Seconds of steps, by ``<variant>/<model>/<step>``.

    Attributes
    ----------
    file : Path
        File beside the runs, to which every finished step is added.
    known : dict of str to float
        Seconds of earlier runs: of this machine, or else those kept in the repository.
    expected, taken : float
        Seconds that the steps finished so far were expected to take, and took.
    """

    file: Path
    known: dict[str, float] = field(default_factory=dict)
    expected: float = 0.0
    taken: float = 0.0

    @classmethod
    def beside(cls, folder: Path) -> "Seconds":
        """Read the seconds of earlier runs.

        Parameters
        ----------
        folder : Path
            Folder of the runs of all models.
        """
        file = folder / "seconds.json"
        return cls(file, {**_recorded(RECORDS), **_read(QUICK), **_read(file)})

    def add(self, name: str, seconds: float) -> None:
        """Add a finished step, and keep its seconds for later runs."""
        if name in self.known:
            self.expected += self.known[name]
            self.taken += seconds
        own = {**_read(self.file), name: round(seconds)}
        self.known[name] = seconds
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with new_file(self.file) as partial:
            partial.write_text(json.dumps(own, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def estimate(self, names: Iterable[str], spent: Mapping[str, float] | None = None) -> tuple[float, int]:
        """Estimate the seconds of steps, corrected by how the finished ones compared with theirs.

        Parameters
        ----------
        names : iterable of str
            Steps that have not ended.
        spent : mapping of str to float or None
            Seconds that those which have begun took so far.

        Returns
        -------
        float
            Seconds of the steps that were run before.
        int
            Number of steps of which nothing is known.
        """
        steps, so_far = list(names), spent or {}
        pace = self.taken / self.expected if self.expected else 1.0
        seconds = (max(self.known.get(name, 0.0) * pace - so_far.get(name, 0.0), 0.0) for name in steps)
        return sum(seconds), sum(name not in self.known for name in steps)

    def in_words(
        self, names: Iterable[str], at_once: int = 1, spent: Mapping[str, float] | None = None
    ) -> str:
        """Return an estimate in words, for a line of the console, of steps of which some run at once."""
        seconds, unknown = self.estimate(names, spent)
        seconds /= at_once
        if not unknown:
            return f"about {in_minutes(seconds)}"
        steps = "a step" if unknown == 1 else f"{unknown} steps"
        return (
            f"about {in_minutes(seconds)} and {steps} not run before"
            if seconds
            else f"{steps} not run before"
        )


def in_minutes(seconds: float) -> str:
    """Return a duration in words: seconds below two minutes, else minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _read(file: Path) -> dict[str, float]:
    if not file.is_file():
        return {}
    read: Mapping[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return {str(name): float(seconds) for name, seconds in read.items()}


def _recorded(records: Path) -> dict[str, float]:
    """Seconds of the finished steps that are kept, of those that have the same sizes today."""
    found = {}
    for model in MODELS:
        for step in STEPS:
            file = records / model / step.name / DONE
            if file.is_file():
                done = json.loads(file.read_text(encoding="utf-8"))
                if not step.changed(done["command"], model):
                    found[f"full/{model}/{step.name}"] = float(done["seconds"])
    return found
