"""Cache of scores on disk, keyed by all that determines them: a rerun computes only missing ones."""

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
    """Folder of score files.

    Parameters
    ----------
    folder : Path
        Created with the first entry. Entries are written under another name and renamed; with a lock, one
        of several jobs computes an entry and the others wait for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = self.misses = 0

    def scores(self, key: Mapping[str, Any], compute: Callable[[], list[Score]]) -> list[Score]:
        """Load the scores of a key, or compute and keep them if they are missing or unreadable.

        If the disk is full, an error is logged and the scores are returned nevertheless.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{digest(key)}.json"
        with held(file):
            known = _read(file)
            if known is not None:
                self.hits += 1
                return known
            self.misses += 1
            computed = compute()
            try:
                write_json(file, {"key": dict(key), "scores": [_plain(score) for score in computed]})
            except DiskError as error:
                log.error("scores are used, but not kept for later runs: %s", error)
            return computed


def _plain(score: Score) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(score).items()
    }


def _read(file: Path) -> list[Score] | None:
    """Read the scores of an entry; None if it is missing, broken or of another key, to be computed again."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        if digest(entry["key"]) != file.stem:
            return None
        return [_score(plain) for plain in entry["scores"]] or None
    # broken json and broken utf-8 are ValueErrors
    except (FileNotFoundError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _score(entry: Mapping[str, Any]) -> Score:
    arrays = {
        name: None if entry[name] is None else np.array(entry[name], dtype=np.float64)
        for name in ("items", "weights")
    }
    if any(array is not None and array.shape != (entry["n"],) for array in arrays.values()):
        raise ValueError(f"{entry['task']}/{entry['metric']} does not have {entry['n']} items, as it states")
    texts = None if entry["texts"] is None else tuple(entry["texts"])
    return Score(**{field.name: entry[field.name] for field in fields(Score)} | arrays | {"texts": texts})
