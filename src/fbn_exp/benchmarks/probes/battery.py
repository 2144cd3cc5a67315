"""The bundled probe battery: short tasks that a small model can do, scored by lm-eval."""

from collections.abc import Sequence

from typing_extensions import override

from fbn_exp.benchmarks import probes
from fbn_exp.benchmarks.harness import Harness
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import Split

PARTS = ("test", "dev")


class Probes(Harness):
    """Tasks of the battery.

    Parameters
    ----------
    tasks : list of str
        Short names such as ``grammar``; empty takes all.
    part : str
        ``test``, or ``dev`` for choosing a factor or a threshold; the two share no item.
    limit : int or None
        Items per task.
    batch_size : int or str
        As lm-eval takes it.

    Raises
    ------
    ConfigError
        If a task or part is unknown.
    """

    def __init__(
        self,
        tasks: Sequence[str] = (),
        part: str = "test",
        limit: int | None = 100,
        batch_size: int | str = 32,
    ) -> None:
        short = {name.removeprefix("fbn_"): name for name in probes.BATTERY}
        unknown = [task for task in tasks if task not in short]
        if unknown:
            raise ConfigError(f"benchmark.tasks: no probe {', '.join(unknown)}; there are {', '.join(short)}")
        if part not in PARTS:
            raise ConfigError(f"benchmark.part is {part!r}: one of {', '.join(PARTS)}")
        self.part = part
        self.chosen = list(tasks)
        suffix = "" if part == "test" else "_dev"
        names = [f"{short[task]}{suffix}" for task in (tasks or short)]
        super().__init__(names, str(probes.folder()), limit=limit, batch_size=batch_size)

    @override
    def on(self, part: Split) -> "Probes":
        return Probes(self.chosen, part.value, self.limit, self.batch_size)

    @override
    def name_on_test(self, name: str) -> str:
        return name.replace("_dev/", "/")

    @override
    def _chance(self, task: str) -> float | None:
        return probes.chance(task.removesuffix("_dev"))
