"""Composition of a sweep's jobs, once for each."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

# configs that were checked and wait for their job: each takes about a megabyte
MOST_KEPT = 100

_check, _load = Sweeper.validate_batch_is_legal, ConfigLoaderImpl.load_sweep_config
_checked: dict[tuple[ConfigLoaderImpl, tuple[str, ...]], DictConfig] = {}
_checking: list[bool] = []


def compose_once() -> None:
    """Let Hydra run the configs of a sweep that it has checked, which takes as long as a small job.

    Hydra composes every job to check it, and again to run it.
    """
    sweeper: Any = Sweeper
    loader: Any = ConfigLoaderImpl
    sweeper.validate_batch_is_legal, loader.load_sweep_config = _checked_batch, _loaded


def _checked_batch(sweeper: Sweeper, batch: Sequence[Sequence[str]]) -> None:
    _checked.clear()
    _checking.append(True)
    try:
        _check(sweeper, batch)
    finally:
        _checking.clear()


def _loaded(loader: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
    job = loader, tuple(sweep_overrides)
    if job in _checked and not _checking:
        return _checked.pop(job)
    config = _load(loader, master_config, sweep_overrides)
    if _checking and len(_checked) < MOST_KEPT:
        _checked[job] = config
    return config
