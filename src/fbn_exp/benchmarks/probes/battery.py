"""Bundled probe battery: short tasks that a small model can do, scored by lm-eval."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from typing_extensions import override

from fbn_exp.benchmarks import probes
from fbn_exp.benchmarks.harness.config import ProbesConfig
from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import text_digest
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.probes.config import Probe
from fbn_exp.datasets.probes.prompts import ProbePrompts

# name of the metric
MARGIN = "margin"


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
        metrics = ("acc", MARGIN) if self.margin else ("acc",)
        return [f"{name}/{metric}" for name in self.names for metric in metrics]

    @override
    def key(self) -> dict[str, Any]:
        return {**super().key(), **({"margin": True} if self.margin else {})}

    @override
    def _scores(self, task: str, results: Mapping[str, Any]) -> list[Score]:
        scores = super()._scores(task, results)
        if self.margin:
            items = margins(results["samples"][task])
            scores.append(mean_score(task, MARGIN, items, higher_is_better=True))
        return scores

    @override
    def _chance(self, task: str) -> float | None:
        return probes.chance(task.removesuffix("_dev"))


def margins(samples: Sequence[Mapping[str, Any]]) -> Array:
    """Log-likelihood of the right choice less that of the best wrong one, of each item, shape (n,), in nats.

    Parameters
    ----------
    samples : sequence of mapping
        Items of a task as lm-eval logs them: ``filtered_resps``, a pair per choice that begins with its
        log-likelihood, and ``target``, the index of the right one.
    """
    values = []
    for sample in sorted(samples, key=lambda each: each["doc_id"]):
        likelihoods = [float(likelihood) for likelihood, *_ in sample["filtered_resps"]]
        right = likelihoods.pop(int(sample["target"]))
        values.append(right - max(likelihoods))
    return np.array(values, dtype=np.float64)
