"""Scores on disk, keyed by everything that determines them: a rerun computes only what is missing."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
        """Entry under a key, computed if it is missing or unreadable; see ``scores_of``."""
        (scores,) = self.scores_of([key], lambda _: [compute()])
        return scores

    def scores_of(
        self, keys: Sequence[Mapping[str, Any]], compute: Callable[[Sequence[int]], Sequence[list[Score]]]
    ) -> list[list[Score]]:
        """Entries under different keys; those that are missing or unreadable are computed together.

        Scores that the cache has no room for are not lost: that is said, and they are returned.

        Parameters
        ----------
        keys : sequence of mapping
            Keys of the entries.
        compute : callable
            Computes the entries at given positions in ``keys``; not called if all are there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = [self._file(key) for key in keys]
        with ExitStack() as locks:
            # in one order for all jobs, so that no two wait for each other
            for file in sorted(files):
                locks.enter_context(held(file))
            found = [_read(file, file.stem) for file in files]
            missing = [place for place, scores in enumerate(found) if scores is None]
            self.hits += len(files) - len(missing)
            self.misses += len(missing)
            computed = compute(missing) if missing else []
            for place, scores in zip(missing, computed, strict=True):
                self._keep(keys[place], scores)
                found[place] = scores
        return [scores for scores in found if scores is not None]

    def holds(self, key: Mapping[str, Any]) -> bool:
        """Whether there is an entry under a key, readable or not."""
        return self._file(key).exists()

    def _file(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{digest(key)}.json"

    def _keep(self, key: Mapping[str, Any], scores: list[Score]) -> None:
        try:
            plain = [_plain(score) for score in scores]
            content = {"key": dict(key), "scores": plain, "sha256": digest({"scores": plain})}
            write_json(self._file(key), content)
        except DiskError as error:
            log.error("scores are used, but not kept for later runs: %s", error)


def _plain(score: Score) -> dict[str, Any]:
    return {
        name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in asdict(score).items()
    }


def _read(file: Path, key: str) -> list[Score] | None:
    """Scores of an entry; None if it is missing or, with a warning, damaged: then they are computed again."""
    if not file.exists():
        return None
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        if digest(entry["key"]) != key or digest({"scores": entry["scores"]}) != entry["sha256"]:
            raise ValueError("its content is not what was written")
        scores = [_score(each) for each in entry["scores"]]
        if not scores:
            raise ValueError("it holds no score")
    # broken json and broken utf-8 are ValueErrors
    except (OSError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        log.warning("%s is damaged, its scores are computed again: %s", file, error)
        return None
    return scores


def _score(entry: Mapping[str, Any]) -> Score:
    """Score of an entry.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a field is missing or of another type, or the value is not the mean of the items.
    """
    arrays = {
        name: None if entry[name] is None else np.array(entry[name], dtype=np.float64)
        for name in ("items", "weights")
    }
    texts = None if entry["texts"] is None else tuple(entry["texts"])
    # entries of earlier versions have no strata, and do not say what is measured from the untouched model
    strata = None if entry.get("strata") is None else np.array(entry["strata"], dtype=np.int64)
    later = {"strata": strata, "from_untouched": entry.get("from_untouched", False)}
    given = {each.name: entry[each.name] for each in fields(Score) if each.name not in later}
    score = Score(**given | arrays | {"texts": texts} | later)
    arrays["strata"] = None if strata is None else strata.astype(np.float64)
    types = {"task": str, "metric": str, "value": float, "standard_error": float, "n": int}
    types |= {"higher_is_better": bool, "from_untouched": bool}
    for name, kind in types.items():
        if type(getattr(score, name)) is not kind:
            raise TypeError(f"{name} of {score.name} is {getattr(score, name)!r}")
    if not (score.chance is None or type(score.chance) in (int, float)):
        raise TypeError(f"chance of {score.name} is {score.chance!r}")
    if not all(isinstance(each, str) for each in score.texts or ()):
        raise TypeError(f"texts of {score.name} are not all text")
    if any(each is not None and each.shape != (score.n,) for each in arrays.values()):
        raise ValueError(f"{score.name} has not as many items as it says")
    if score.items is not None:
        # a broken model has scores that are no numbers: they are kept as they are
        with np.errstate(all="ignore"):
            mean = np.average(score.items, weights=score.weights)
        if not np.isclose(score.value, mean, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError(f"{score.name} is {score.value}, the mean of its items is {mean}")
    return score
