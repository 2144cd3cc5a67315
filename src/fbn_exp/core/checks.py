"""Range checks that the dataclasses of options share; importing this module loads no heavy library."""

from enum import StrEnum
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from fbn_exp.core.errors import ConfigError

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def typed(config: DictConfig, schema: type[T]) -> T:
    """Convert a config to its dataclass, which checks all settings in it.

    Raises
    ------
    FbnError
        If a setting is out of range or contradicts another one.
    """
    options = OmegaConf.to_object(config)
    assert isinstance(options, schema)
    return options


def require(condition: bool, name: str, value: object, rule: str) -> None:
    """Refuse a setting unless a condition holds.

    Parameters
    ----------
    condition : bool
        True if the value is allowed; must be False for NaN: ``value > 0``, never ``not value <= 0``.
    name : str
        The setting as on the command line, such as ``method.tolerance``.
    value : object
        The value received.
    rule : str
        The rest of a sentence that begins "The value must".

    Raises
    ------
    ConfigError
        If the condition does not hold.
    """
    if not condition:
        raise ConfigError(f"{name} is {value}, must {rule}")


def require_positive(name: str, value: float) -> None:
    """Refuse a setting that is 0, negative or NaN."""
    require(value > 0, name, value, "be positive")


def require_at_least(name: str, value: float, least: float) -> None:
    """Refuse a setting that is below ``least`` or NaN."""
    require(value >= least, name, value, f"be at least {least}")


def require_choice(kind: type[E], name: str, value: str) -> E:
    """Convert a name to the member of an enumeration; a member is returned unchanged.

    Raises
    ------
    ConfigError
        If there is no such member; the message lists all members.
    """
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"{name} is {value!r}, must be one of {', '.join(kind)}") from None
