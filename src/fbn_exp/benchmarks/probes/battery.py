"""Bundled probe battery: short tasks that a small model can do, scored by lm-eval."""

from dataclasses import replace

from typing_extensions import override

from fbn_exp.benchmarks import probes
from fbn_exp.benchmarks.harness.config import ProbesConfig
from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.datasets.base import text_digest
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.probes.config import Probe
from fbn_exp.datasets.probes.prompts import ProbePrompts


class Probes(ProbesConfig, Harness):
    """Tasks of the probe battery.

    Examples
    --------
    >>> fbn.score(lm, fbn.Probes(["grammar"], limit=4), lesion, controls=1)
    """

    include_path = str(probes.folder())
    trust_task_code = True

    @property
    @override
    def names(self) -> list[str]:
        suffix = "" if self.part == "test" else "_dev"
        return [f"{probes.SHORT_NAMES[task]}{suffix}" for task in self.tasks or probes.SHORT_NAMES]

    @override
    def on(self, part: Split) -> "Probes":
        return replace(self, part=part.value)

    @override
    def text_digests(self) -> frozenset[str]:
        """Digests of the prompts of its part, which a localizer may have been fitted to."""
        splits = (Split.test,) if self.part == "test" else (Split.train, Split.dev)
        probes_taken = [Probe(task) for task in self.tasks]
        prompts = (ProbePrompts(probes=probes_taken, split=split) for split in splits)
        return frozenset(
            text_digest(document.text) for dataset in prompts for document in dataset.documents()
        )

    @override
    def name_on_test(self, name: str) -> str:
        return name.replace("_dev/", "/")

    @override
    def score_names(self) -> list[str]:
        return [f"{name}/acc" for name in self.names]

    @override
    def _chance(self, task: str) -> float | None:
        return probes.chance(task.removesuffix("_dev"))
