"""Accept a single value for a list: ``dataset.paths=my.txt`` means ``dataset.paths=[my.txt]``."""

import functools

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def accept_single_values() -> None:
    """Make Hydra put a single value into a list where it overrides a list."""
    apply = ConfigLoaderImpl._apply_overrides_to_config
    if hasattr(apply, "__wrapped__"):
        return

    @functools.wraps(apply)
    def with_lists(overrides: list[Override], cfg: DictConfig) -> None:
        for override in overrides:
            value = override.value()
            refers = isinstance(value, str) and value.startswith("${")
            single = isinstance(value, str | int | float) and not refers
            if single and _is_list(cfg, override.key_or_group):
                override._value = [override._value]
        apply(overrides, cfg)

    ConfigLoaderImpl._apply_overrides_to_config = staticmethod(with_lists)  # type: ignore[method-assign]


def _is_list(cfg: DictConfig, name: str) -> bool:
    """Return True if a setting holds a list, also one that is missing or null so far."""
    parent, _, key = name.rpartition(".")
    try:
        node = OmegaConf.select(cfg, parent) if parent else cfg
    except OmegaConfBaseException:
        return False
    return isinstance(node, DictConfig) and isinstance(node._get_node(key, validate_access=False), ListConfig)
