"""Scores on disk, keyed by everything that determines them: a rerun computes only what is missing."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import DiskError
from fbn_exp.core.files import digest, write_json
from fbn_exp.core.locks import held

log = logging.getLogger(__name__)


class ScoreCache:
    """A folder of score files.

    Parameters
    ----------
    folder : Path
        Made when the first entry is written. Entries are written under another name and renamed; a lock
        lets jobs that want the same entry wait for one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = self.misses = 0

    def scores(self, key: Mapping[str, Any], compute: Callable[[], list[Score]]) -> list[Score]:
        """Entry under a key, computed if it is missing or unreadable.

        Scores that the cache has no room for are not lost: that is said, and they are returned.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{digest(key)}.json"
        with held(file):
            found = _read(file)
            if found is not None:
                self.hits += 1
                return found
            self.misses += 1
            computed = compute()
            try:
                write_json(file, {"key": dict(key), "scores": [_plain(score) for score in computed]})
            except DiskError as error:
                log.error("scores are used, but not kept for later runs: %s", error)
            return computed


def _plain(score: Score) -> dict[str, Any]:
    return {
        name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in asdict(score).items()
    }


def _read(file: Path) -> list[Score] | None:
    """Scores of an entry, None if it is missing, broken or another's: then it is computed again."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        if digest(entry["key"]) != file.stem:
            return None
        return [_score(each) for each in entry["scores"]] or None
    # broken json and broken utf-8 are ValueErrors
    except (FileNotFoundError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _score(entry: Mapping[str, Any]) -> Score:
    arrays = {
        name: None if entry[name] is None else np.array(entry[name], dtype=np.float64)
        for name in ("items", "weights")
    }
    if any(each is not None and each.shape != (entry["n"],) for each in arrays.values()):
        raise ValueError(f"{entry['task']}/{entry['metric']} has not as many items as it says")
    texts = None if entry["texts"] is None else tuple(entry["texts"])
    return Score(**{each.name: entry[each.name] for each in fields(Score)} | arrays | {"texts": texts})
