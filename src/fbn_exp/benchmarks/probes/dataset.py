"""Items of the probes as data sets, built by lm-eval."""

import dataclasses

from datasets import Dataset, DatasetDict

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.probes.items import Half, generate
from fbn_exp.datasets.probes.prompts import PROBES

SPLITS: dict[str, Half] = {"validation": "dev", "test": "test"}


def build(probe: str, n_items: int = 400, item_seed: int = 0, **_: object) -> DatasetDict:
    """Generate both halves of a probe, under the names of splits in lm-eval.

    Parameters
    ----------
    probe : str
        Name in ``PROBES``.
    n_items : int, default 400
        Number of items in each half; lm-eval's ``--limit`` scores the first of them.
    item_seed : int, default 0
        Seed of the items.
    **_ : object
        Other arguments that lm-eval passes: all metadata of the task, and all arguments of the model.

    Returns
    -------
    DatasetDict
        ``validation``, the dev half, and ``test``; columns ``text``, ``choices``, ``gold``, ``kind``.

    Raises
    ------
    ConfigError
        If the probe is unknown or ``n_items`` is not positive.
    DatasetError
        If there are too few distinct items, or the package that a probe reads is missing.
    """
    if probe not in PROBES:
        raise ConfigError(f"unknown probe {probe!r}; there are: {', '.join(PROBES)}")
    halves = {}
    for split, half in SPLITS.items():
        items = generate(PROBES[probe], half, int(n_items), int(item_seed))
        halves[split] = Dataset.from_list([dataclasses.asdict(item) for item in items])
    return DatasetDict(halves)
