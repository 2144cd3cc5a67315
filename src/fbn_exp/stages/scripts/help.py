"""Page of ``--help``; Hydra's own also lists groups of other scripts, and copies all configs for each."""

import argparse
import string
from collections.abc import Iterator

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.default_element import GroupDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf


def page(
    hydra: Hydra, help_config: DictConfig, config: DictConfig, parser: argparse.ArgumentParser, resolve: bool
) -> str:
    """Fill the template in ``conf/hydra/help/`` with the config groups of this script."""
    assert isinstance(hydra.config_loader, ConfigLoaderImpl)
    repository = hydra.config_loader.repository
    choices = {name for name in HydraConfig.get().runtime.choices if "@" not in name}
    options: dict[str, list[str]] = {}
    for name in sorted(choices):
        for group in () if name.startswith("hydra/") else _with_subgroups(repository, name):
            found = repository.get_group_options(group, ObjectType.CONFIG)
            if name == "experiment":
                found = [each for each in found if _fits(repository, f"{group}/{each}", choices, config)]
            options |= {group: found} if found else {}
    return string.Template(help_config.template).safe_substitute(
        FLAGS_HELP=hydra.format_args_help(parser),
        APP_CONFIG_GROUPS="".join(f"{group}: {', '.join(names)}\n" for group, names in options.items()),
        CONFIG=OmegaConf.to_yaml(config, resolve=resolve),
    )


def use_own_page() -> None:
    """Make Hydra print :func:`page` for ``--help``."""
    Hydra.get_help = page  # type: ignore[method-assign, assignment]


def _with_subgroups(repository: IConfigRepository, group: str) -> Iterator[str]:
    yield group
    for name in repository.get_group_options(group, ObjectType.GROUP):
        yield from _with_subgroups(repository, f"{group}/{name}")


def _fits(repository: IConfigRepository, experiment: str, choices: set[str], config: DictConfig) -> bool:
    """Return True if a script has all groups and fields that an experiment overrides."""
    loaded = repository.load_config(experiment)
    assert loaded is not None
    assert loaded.defaults_list is not None
    defaults = [each for each in loaded.defaults_list if isinstance(each, GroupDefault) and each.override]
    overridden = {str(each.group).lstrip("/") for each in defaults}
    return overridden <= choices and set(loaded.config) <= {*config, "hydra"}
