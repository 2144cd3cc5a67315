"""Objects from configs: everything that can be wrong with a setting is wrong here, before a model loads."""

from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fbn_exp.errors import FbnError

T = TypeVar("T")


def built(config: DictConfig, kind: type[T]) -> T:
    """Instantiate the class that a config names.

    Raises
    ------
    FbnError
        As the class's constructor raises it, without Hydra's wrapping.
    """
    try:
        made = instantiate(config)
    except InstantiationException as error:
        if isinstance(error.__cause__, FbnError):
            raise error.__cause__ from None
        raise
    assert isinstance(made, kind)
    return made


def typed(config: DictConfig, schema: type[T]) -> T:
    """Plain dataclass of a config that names no class."""
    made = OmegaConf.to_object(config)
    assert isinstance(made, schema)
    return made


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolved config in plain containers, for trackers and provenance."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
