"""Probe battery: short multiple-choice tasks for lm-eval, generated from seeds.

``lm_eval --tasks fbn_probes --include_path FOLDER``, with the path of this package as FOLDER, scores them
all on their test halves; ``fbn_grammar_dev`` and the like, or the tag ``fbn_probes_dev``, score the dev
halves. Each task has 400 items per half; ``--metadata '{"n_items": 1000}'`` changes that number, and
``"item_seed": 1`` draws other items.
"""

from pathlib import Path
from typing import Any

import yaml

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.probes.config import Probe

BATTERY = tuple(f"fbn_{probe.value}" for probe in Probe)
"""Names of the tasks; with ``_dev`` appended, the same task on its dev half."""

SHORT_NAMES = {name.removeprefix("fbn_"): name for name in BATTERY}
"""Tasks by their names in the option ``benchmark.tasks``."""


def folder() -> Path:
    """Folder that holds the battery's task files, for lm-eval's ``include_path``."""
    return Path(__file__).parent


def chance(task: str) -> float:
    """Accuracy of guessing.

    Parameters
    ----------
    task : str
        One of ``BATTERY``, with or without ``_dev``.

    Returns
    -------
    float
        Value in the file of the task.

    Raises
    ------
    ConfigError
        If there is no such task in the battery.
    """
    name = task.removesuffix("_dev")
    if name not in BATTERY:
        raise ConfigError(f"{task!r} is no task of the probe battery; it has: {', '.join(BATTERY)}")
    content = (folder() / "tasks" / f"{name}.yaml").read_text(encoding="utf-8")
    described: dict[str, Any] = yaml.safe_load(content)
    return float(described["metadata"]["chance"])
