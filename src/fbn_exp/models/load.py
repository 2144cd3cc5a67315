"""Load a language model, or take the one that was loaded last."""

import copy
import dataclasses
import json
import logging
from pathlib import Path

from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)


def load(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model, or take it from memory when the last one was loaded with an equal config.

    Parameters
    ----------
    config : ModelConfig
        Name, revision, dtype, device; see its docstring for the kinds of names.
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
        _kept.clear()  # before loading: two models may not fit into memory
        _kept[key] = _read(config, cache)
    return _kept[key]


_kept: dict[str, LanguageModel] = {}
"""The model loaded last, by its config: the jobs of a sweep share it."""


def take(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model for the caller alone, who may change its weights: nothing of it is kept.

    Raises
    ------
    ModelError
        As ``load``.
    """
    _kept.clear()
    return _read(config, cache)


def _read(config: ModelConfig, cache: Path) -> LanguageModel:
    """Import what reads models only now: it takes seconds, and a person should see what is waited for."""
    log.info("loading %s", config.name)
    from fbn_exp.models.pretrained import read_model

    return read_model(copy.deepcopy(config), cache)
