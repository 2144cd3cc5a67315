"""Range checks of settings, and what the dataclasses of options share. Imports nothing heavy."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from fbn_exp.core.errors import ConfigError

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def typed(config: DictConfig, schema: type[T]) -> T:
    """Dataclass that a config stands for; making it checks all settings in it.

    Raises
    ------
    FbnError
        If a setting is out of range or contradicts another one.
    """
    made = OmegaConf.to_object(config)
    assert isinstance(made, schema)
    return made


def require(condition: bool, name: str, value: object, rule: str) -> None:
    """Refuse a setting.

    Parameters
    ----------
    condition : bool
        Whether the value is allowed. Written so that NaN is not: ``value > 0``, never ``not value <= 0``.
    name : str
        The setting as on the command line, such as ``method.tolerance``.
    value : object
        The value received.
    rule : str
        What it must be, following "must".

    Raises
    ------
    ConfigError
        If the condition does not hold.
    """
    if not condition:
        raise ConfigError(f"{name} is {value}, must {rule}")


def require_positive(name: str, value: float) -> None:
    """Refuse 0, negative numbers and NaN."""
    require(value > 0, name, value, "be positive")


def require_at_least(name: str, value: float, least: float) -> None:
    """Refuse smaller numbers and NaN."""
    require(value >= least, name, value, f"be at least {least}")


def require_choice(kind: type[E], name: str, value: str) -> E:
    """Member of an enumeration for its name, as Python code gives it.

    Raises
    ------
    ConfigError
        If there is no such member; the message lists all.
    """
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"{name} is {value!r}, must be one of {', '.join(kind)}") from None


def require_unique(name: str, values: Sequence[object]) -> None:
    """Refuse a list that names something twice."""
    require(len(set(values)) == len(values), name, list(values), "name nothing twice")
