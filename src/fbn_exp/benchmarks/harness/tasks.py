"""Tasks of lm-evaluation-harness, from the hub or from local yaml files."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2.exceptions import SecurityError
from typing_extensions import override

from fbn_exp.benchmarks.base import Progress, SharedBatches
from fbn_exp.benchmarks.harness.config import HarnessConfig
from fbn_exp.benchmarks.harness.model import harness_model
from fbn_exp.benchmarks.harness.riders import Riders
from fbn_exp.benchmarks.harness.surroundings import (
    installed_evaluate,
    no_environment_report,
    quiet,
    requests_kept,
)
from fbn_exp.benchmarks.harness.trust import confined_templates, log_code
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core.errors import BenchmarkError, FbnError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.random_state import random_state_kept
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.stacked import stacks
from fbn_exp.models.language_model import LanguageModel

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager


# lm-eval's name for the answers as they are
NO_FILTER = "none"
# tokens of a row, where they are not known yet
TYPICAL_ROW = 64


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What all runs of a sweep share: tasks, the model with tokenised and packed texts, requests by task."""

    manager: "TaskManager"
    tasks: list[Any]
    model: "HFLM"
    requests: dict[Any, list[Any]] = field(default_factory=dict)


class Harness(HarnessConfig, SharedBatches):
    """Tasks scored by lm-eval itself, on the model as it stands in memory.

    Examples
    --------
    >>> benchmark = fbn.Harness(["hellaswag"], limit=100)
    """

    @property
    def names(self) -> list[str]:
        """Names of the tasks in lm-eval."""
        return self.tasks

    @override
    def prepare(self, lm: LanguageModel) -> None:
        lm.require_language_head("benchmark=lm_eval")
        if self.include_path is not None and self.trust_task_code:
            log_code(self.include_path, _folder_digest(self.include_path))
        with (
            installed_evaluate(),
            random_state_kept(),
            confined_templates(self._confined),
            quiet(),
        ):
            name = json.dumps([self.key(), self.batch_size, self._confined], sort_keys=True)
            if name not in lm.prepared:
                manager = self._task_manager()
                lm.prepared[name] = _Prepared(
                    manager, _load(manager, self.names), harness_model(lm, self.batch_size, self.packed)
                )
        kept: _Prepared = lm.prepared[name]
        self._manager, self._loaded, self._requests = kept.manager, kept.tasks, kept.requests
        self._harness_model = kept.model

    @property
    def _confined(self) -> bool:
        """True if there are task files of others, which are not trusted."""
        return self.include_path is not None and not self.trust_task_code

    def _task_manager(self) -> "TaskManager":
        """Index the tasks; those bundled with lm-eval, which takes seconds, only where they are needed."""
        digest = _folder_digest(self.include_path)
        if self.include_path is not None:
            local = _indexed(self.include_path, digest, with_defaults=False)
            # a group may consist of tasks bundled with lm-eval
            if set(self.names) <= set(local.all_subtasks):
                return local
        manager = _indexed(self.include_path, digest, with_defaults=True)
        if unknown := [task for task in self.names if task not in set(manager.all_tasks)]:
            raise BenchmarkError(
                f"benchmark.tasks: lm-eval knows no {', '.join(unknown)}; `lm_eval ls tasks` lists "
                "its names, benchmark.include_path=FOLDER adds local ones"
            )
        return manager

    @override
    def forward_tokens(self) -> int | None:
        return None

    @override
    def tokens_of_batch(self) -> int:
        return TYPICAL_ROW * self.batch_size if isinstance(self.batch_size, int) else 0

    @override
    def edits_of_batch(self, lm: LanguageModel) -> int:
        # only packed rows and their caches have copies; a batch whose size is measured fills the device
        shared = self.packed and isinstance(self.batch_size, int)
        return super().edits_of_batch(lm) if shared else 1

    @override
    def score_many(
        self, lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Edit], progress: Progress
    ) -> list[list[Score]]:
        scores: list[list[Score]] = [[] for _ in edits]
        for places in stacks(edits, self.edits_of_batch(lm)):
            together = [edits[place] for place in places]
            if len(together) == 1:
                with applied(lm.model, layout, *together):
                    scores[places[0]] = self.score(lm)
                progress.advance(1)
                continue
            riders = Riders(lm.model, layout, together)
            with self._harness_model.riding(riders):
                for turn, place in enumerate(places):
                    riders.turn = turn
                    scores[place] = self.score(lm)
                    progress.advance(1)
        return scores

    @override
    def score(self, lm: LanguageModel) -> list[Score]:
        # the first two find and import lm-eval
        with (
            installed_evaluate(),
            no_environment_report(),
            random_state_kept(),
            confined_templates(self._confined),
            quiet(),
            requests_kept(self._requests),
        ):
            from lm_eval import simple_evaluate

            results = simple_evaluate(
                model=self._harness_model,
                tasks=list(self._loaded),
                task_manager=self._manager,
                num_fewshot=self.num_fewshot,
                limit=self.limit,
                apply_chat_template=self.apply_chat_template,
                bootstrap_iters=1000,
                log_samples=True,
            )
        if results is None:
            return []
        return [score for task in results["results"] for score in self._scores(task, results)]

    @override
    def score_names(self) -> list[str] | None:
        """Names known after ``prepare``; None if code of a task decides about them, or a group of tasks."""
        if (loaded := getattr(self, "_loaded", None)) is None:
            return None
        from lm_eval.api.task import ConfigurableTask

        if not all(type(task) is ConfigurableTask for task in loaded):
            return None
        if any(task.config.process_results is not None for task in loaded):
            return None
        return [
            f"{task.task_name}/{_label(metric, kind['name'])}"
            for task in loaded
            for metric in task.aggregation()
            for kind in task.config.filter_list or ({"name": NO_FILTER},)
        ]

    def _scores(self, task: str, results: Mapping[str, Any]) -> list[Score]:
        row = results["results"][task]
        samples = results.get("samples", {}).get(task)
        scores = []
        for key, value in row.items():
            metric, _, filter_name = key.partition(",")
            if not filter_name or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            higher = results.get("higher_is_better", {}).get(task, {}).get(metric)
            items = _items(samples, metric, filter_name)
            label = _label(metric, filter_name)
            if items is not None and np.isclose(items.mean(), value, rtol=1e-9, atol=1e-12, equal_nan=True):
                scores.append(
                    mean_score(
                        task, label, items, higher_is_better=higher is not False, chance=self._chance(task)
                    )
                )
                continue
            error = row.get(f"{metric}_stderr,{filter_name}")
            error = float(error) if isinstance(error, int | float) else float("nan")
            n = len({sample["doc_id"] for sample in samples or ()})
            scores.append(Score(task, label, float(value), error, n, higher is not False))
        return scores

    def _chance(self, task: str) -> float | None:
        return None

    @override
    def key(self) -> dict[str, Any]:
        import lm_eval

        return {
            "benchmark": "lm_eval",
            "version": lm_eval.__version__,
            "tasks": self.names,
            "include_path": _folder_digest(self.include_path),
            "num_fewshot": self.num_fewshot,
            "limit": self.limit,
            "apply_chat_template": self.apply_chat_template,
            # equal to rounding only: scores of lm-eval's own rows, also of earlier versions, stay apart
            **({"packed": True} if self.packed else {}),
        }

    @override
    def remarks(self) -> list[str]:
        return list(self._harness_model.remarks)


def _label(metric: str, filter_name: str) -> str:
    return metric if filter_name == NO_FILTER else f"{metric}_{filter_name}"


def _items(
    samples: Sequence[Mapping[str, Any]] | None, metric: str, filter_name: str
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Values of a metric per item, in the order of the documents; None if they are not plain numbers."""
    chosen = [sample for sample in samples or () if sample.get("filter", filter_name) == filter_name]
    values = [sample.get(metric) for sample in sorted(chosen, key=lambda sample: sample["doc_id"])]
    if not values or not all(isinstance(value, int | float) for value in values):
        return None
    return np.array(values, dtype=np.float64)


def _load(manager: "TaskManager", names: Sequence[str]) -> list[Any]:
    """Load tasks and groups with their data; any failure is raised as a benchmark error."""
    tasks: dict[str, Any] = {}
    members: set[str] = set()
    for name in names:
        try:
            loaded = manager.load([name])
        except (FbnError, SecurityError):
            raise
        except Exception as error:  # the code of a task, the hub or a broken file may raise anything
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise BenchmarkError(
                f"benchmark.tasks: {name} cannot be loaded ({type(error).__name__}: {reason}); if its data "
                "come from the hub and it cannot be reached, name tasks on local files"
            ) from error
        tasks |= {**loaded["groups"], **loaded["tasks"]}
        members |= {member for children in loaded["group_map"].values() for member in children}
    # a group includes its members
    return [task for name, task in tasks.items() if name not in members]


@functools.lru_cache(maxsize=4)
def _indexed(include_path: str | None, digest: str | None, with_defaults: bool) -> "TaskManager":
    """Index the tasks in a folder with this digest; shared by the runs of a sweep."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=include_path, include_defaults=with_defaults)


def _folder_digest(folder: str | None) -> str | None:
    """Digest of all files in a folder of tasks, so that an edited task is another task."""
    if folder is None:
        return None
    digest = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
