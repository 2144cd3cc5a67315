"""Run steps, two at a time where there are cores for it, and show how far they are."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

from progress import Seconds, in_minutes
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from runner import CONSOLE, done_before, forget, interrupt, run_step
from step import Model, Step

# two processes of one thread do more than one of two: much is done by one thread between multiplications
AT_ONCE = min(2, os.cpu_count() or 1)
# how much is told of the console of a step that failed
LAST_LINES = 15
COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())


@dataclass
class Together:
    """Steps that run at the same time.

    Attributes
    ----------
    root : Path
        The repository.
    folder : str
        Folder of all runs, relative to the repository.
    quick : bool
        True for the quick variant.
    more : tuple of str
        Overrides that every step gets.
    at_once : int
        How many steps run at the same time; each has its share of the cores.
    """

    root: Path
    folder: str
    quick: bool = False
    more: tuple[str, ...] = ()
    at_once: int = AT_ONCE
    # steps that have not ended, with the time at which they began
    left: dict[str, float | None] = field(default_factory=dict, init=False)
    ended: dict[tuple[str, str], Future[float | None]] = field(default_factory=dict, init=False)
    # True once Ctrl-C or a scheduler ends the run: steps that stop then have not failed
    stopped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Read the seconds of earlier runs."""
        self.seconds = Seconds.beside(self.root / self.folder)
        self.started = time.perf_counter()
        self.bars = Progress(*COLUMNS, transient=True)
        self.lock = Lock()

    def run(self, models: Sequence[Model], steps: Sequence[Step]) -> list[str]:
        """Run what was not run before; return the names of steps that failed or could not begin.

        Parameters
        ----------
        models, steps : sequence
            What to run: all steps of a model before the next model, and first those that others need.
        """
        todo = [(model, step) for model in models for step in self._missing(model, steps)]
        self.left = {self._name(model, step): None for model, step in todo}
        if todo:
            self._tell(f"to run: {len(todo)} steps, {self.at_once} at a time, {self._time_left()}")
        with self.bars, ThreadPoolExecutor(self.at_once) as pool:
            try:
                for model, step in todo:
                    self.ended[model.option, step.name] = pool.submit(self._run, model, step)
                took = {each: future.result() for each, future in self.ended.items()}
            except BaseException as error:
                self.stopped = True
                # Ctrl-C reaches the scripts as well, the end of this process alone does not
                if not isinstance(error, KeyboardInterrupt):
                    interrupt()
                # those that have not begun must not begin
                pool.shutdown(cancel_futures=True)
                raise
        return [f"{model}/{step}" for (model, step), seconds in took.items() if seconds is None]

    def _missing(self, model: Model, steps: Sequence[Step]) -> list[Step]:
        """Return the steps to run, those first that others need.

        What needs a step that has to be run with another command has to be run as well. What a step leaves
        for others may be lost, as in records: it is run for those alone.
        """
        giving = [step for step in steps if step.leaves]
        others = [step for step in steps if not step.leaves]
        changed = [step for step in giving if not self._done(model, step)]
        missing = [step for step in others if not self._done(model, step)]
        for step in others:
            if step not in missing and step.needs & {each.name for each in changed}:
                forget(self._place(model, step))
                missing.append(step)
        needed = frozenset[str]().union(*(step.needs for step in missing))
        lost = [step for step in giving if step.name in needed and not self._done(model, step, step.leaves)]
        todo = [step for step in giving if step in changed or step in lost] + missing
        for step in steps:
            if step not in todo:
                self._tell(f"{model.option}/{step.name}: done before")
        return todo

    def _done(self, model: Model, step: Step, leaves: str = "") -> bool:
        return done_before(self._place(model, step), self._command(model, step), leaves)

    def _command(self, model: Model, step: Step) -> str:
        return step.command(model.option, f"{self.folder}/{model.option}", self.quick, self.more)

    def _place(self, model: Model, step: Step) -> Path:
        return self.root / self.folder / model.option / step.name

    def _run(self, model: Model, step: Step) -> float | None:
        """Run a step after those that it needs, and say how it went."""
        name, title = self._name(model, step), f"{model.option}/{step.name}"
        for need in step.needs:
            before = self.ended.get((model.option, need))
            if before and before.result() is None:
                self._tell(f"{title}: left out, for {need} failed")
                with self.lock:
                    self.left.pop(name)
                return None
        bar = self.bars.add_task(f"{title}, {self.seconds.in_words([name])}", total=None)
        self._tell(f"{title}: {self._command(model, step)}")
        self.left[name] = time.perf_counter()
        took = run_step(self.root, model, step, self.folder, self.quick, self.more, self.at_once)
        self.bars.remove_task(bar)
        with self.lock:
            self.left.pop(name)
            if took is not None:
                self.seconds.add(name, took)
        if took is None and self.stopped:
            self._tell(f"{title}: interrupted")
        elif took is None:
            self._tell(f"{title}: failed; the end of its console:\n{self._last_lines(model, step)}")
        else:
            self._tell(f"{title}: done in {in_minutes(took)}; {len(self.left)} left, {self._time_left()}")
        return took

    def _last_lines(self, model: Model, step: Step) -> str:
        console = self._place(model, step) / CONSOLE
        lines = console.read_text(encoding="utf-8", errors="replace").rstrip().split("\n")
        return "\n".join([*lines[-LAST_LINES:], f"({console})"])

    def _name(self, model: Model, step: Step) -> str:
        return f"{'quick' if self.quick else 'full'}/{model.option}/{step.name}"

    def _time_left(self) -> str:
        now = time.perf_counter()
        # steps end in other threads meanwhile
        with self.lock:
            spent = {name: now - begun for name, begun in self.left.items() if begun is not None}
            return self.seconds.in_words(self.left, self.at_once, spent)

    def _tell(self, line: str) -> None:
        so_far = in_minutes(time.perf_counter() - self.started)
        self.bars.console.print(
            f"== {datetime.now():%H:%M}, after {so_far}: {line}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
