"""Load a language model, or reuse the most recently loaded one."""

import copy
import dataclasses
import gc
import json
import logging
from pathlib import Path

from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)


def load(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model, or reuse the last one if it was loaded with an equal config.

    Parameters
    ----------
    config : ModelConfig
        Name, revision, dtype, device; see its docstring for the forms of names.
    cache : Path
        Folder in which a converted GGUF model is kept.

    Returns
    -------
    LanguageModel
        Ready for forward passes.

    Raises
    ------
    ModelError
        If it cannot be found, reached or read.
    """
    key = json.dumps([dataclasses.asdict(config), str(cache)], sort_keys=True)
    if key not in _kept:
        _forget()  # before loading: two models may not fit into memory
        _kept[key] = _read(config, cache)
    return _kept[key]


_kept: dict[str, LanguageModel] = {}
"""The most recently loaded model by its config; the jobs of a sweep share it."""


def take(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model without keeping a reference, so that the caller may change its weights.

    Raises
    ------
    ModelError
        As in ``load``.
    """
    _forget()
    return _read(config, cache)


def _forget() -> None:
    """Free the last model, which what benchmarks made of it refers to in a circle."""
    if _kept:
        _kept.clear()
        gc.collect()


def _read(config: ModelConfig, cache: Path) -> LanguageModel:
    """Log a line, then read the model: the late import takes seconds, and the user should see why."""
    log.info("loading %s", config.name)
    from fbn_exp.models.pretrained import read_model

    return read_model(copy.deepcopy(config), cache)
