"""Options of benchmarks that lm-evaluation-harness scores."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fbn_exp.benchmarks.config import SharedBatchesConfig
from fbn_exp.benchmarks.harness.trust import require_no_code
from fbn_exp.benchmarks.probes import SHORT_NAMES
from fbn_exp.core.checks import LARGEST_COUNT, require, require_count
from fbn_exp.core.errors import ConfigError

PARTS = ("test", "dev")


@dataclass
class ProbesConfig(SharedBatchesConfig):
    """Bundled battery of short probe tasks.

    Attributes
    ----------
    tasks : list of str
        Short names such as ``grammar``; empty takes all.
    part : str
        ``test``, or ``dev`` for choosing a factor or a threshold; the two share no item.
    limit : int or None
        Items per task; None takes all.
    batch_size : int or str
        Batch size of lm-eval, a number or ``auto``.
    packed : bool
        Let choices share one row with their context: lm-eval's log-likelihoods to rounding, in less time.
        False scores each choice in a row of its own, as lm-eval does.
    margin : bool
        Score the margin beside accuracy: the log-likelihood of the right choice less that of the best wrong
        one, in nats. It moves where accuracy, which only counts its signs, stands still.

    Raises
    ------
    ConfigError
        If a task or part is unknown, or a number is out of range.
    """

    _target_: str = field(default="fbn_exp.benchmarks.probes.battery.Probes", kw_only=True, repr=False)
    tasks: list[str] = field(default_factory=list)
    part: str = "test"
    limit: int | None = 100
    batch_size: Any = 32
    packed: bool = True
    margin: bool = False

    def __post_init__(self) -> None:
        # not super: a class can inherit from both
        SharedBatchesConfig.__post_init__(self)
        if unknown := [task for task in self.tasks if task not in SHORT_NAMES]:
            raise ConfigError(
                f"benchmark.tasks: no probe {', '.join(unknown)}; there are {', '.join(SHORT_NAMES)}"
            )
        if self.part not in PARTS:
            raise ConfigError(f"benchmark.part is {self.part!r}: one of {', '.join(PARTS)}")
        _check_lm_eval(self.limit, self.batch_size)


@dataclass
class HarnessConfig(SharedBatchesConfig):
    """Tasks of lm-evaluation-harness, scored by lm-eval itself on the model as it stands in memory.

    Attributes
    ----------
    tasks : list of str
        Names of tasks or groups.
    include_path : str or None
        Folder with further task yaml files.
    trust_task_code : bool
        Run code that files in ``include_path`` name: functions, metrics that are scripts, templates without a
        sandbox. By default such files are refused before anything is loaded.
    num_fewshot : int or None
        Examples in the prompt; None takes the default of the task.
    limit : int or None
        Items per task; None takes all.
    batch_size : int or str
        Batch size of lm-eval, a number or ``auto``.
    apply_chat_template : bool
        Wrap prompts in the chat template of the tokenizer.
    packed : bool
        Let choices share one row with their context: lm-eval's log-likelihoods to rounding, in less time.
        False scores each choice in a row of its own, as lm-eval does.

    Raises
    ------
    ConfigError
        If no task is named, a number is out of range, or ``include_path`` is no folder or runs code
        that is not trusted.
    """

    _target_: str = field(default="fbn_exp.benchmarks.harness.tasks.Harness", kw_only=True, repr=False)
    tasks: list[str]
    include_path: str | None = None
    trust_task_code: bool = False
    num_fewshot: int | None = None
    limit: int | None = None
    batch_size: Any = 16
    apply_chat_template: bool = False
    packed: bool = True

    def __post_init__(self) -> None:
        # not super: a class can inherit from both
        SharedBatchesConfig.__post_init__(self)
        if not self.tasks:
            raise ConfigError("benchmark.tasks is empty: name at least one task, as [hellaswag,arc_easy]")
        _check_lm_eval(self.limit, self.batch_size)
        require_count("benchmark.num_fewshot", self.num_fewshot, 0)
        if self.include_path is not None:
            if not Path(self.include_path).is_dir():
                raise ConfigError(f"benchmark.include_path: no such folder: {self.include_path}")
            if not self.trust_task_code:
                require_no_code(Path(self.include_path))


def _check_lm_eval(limit: int | None, batch_size: object) -> None:
    require_count("benchmark.limit", limit)
    if isinstance(batch_size, str):
        # lm-eval measures the batch size anew N times for auto:N
        allowed = re.fullmatch(r"auto(:\d{1,3})?|[1-9]\d{0,8}", batch_size) is not None
    else:
        allowed = type(batch_size) is int and 1 <= batch_size <= LARGEST_COUNT
    rule = f"be at least 1 or auto, and a whole number up to {LARGEST_COUNT}"
    require(allowed, "benchmark.batch_size", batch_size, rule)
