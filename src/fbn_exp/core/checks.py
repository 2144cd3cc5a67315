"""Range checks that the dataclasses of options share; importing this module loads no heavy library."""

import re
from enum import StrEnum
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from fbn_exp.core.errors import ConfigError, FbnError

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

# signals, weights and maps are float32, which holds no larger number
FLOAT32_LIMIT = 2.0**128
# libraries count in 32 bits here and there
LARGEST_COUNT = 2**31 - 1
# one seed serves all groups, and numpy's global generator, which transformers seeds, takes no larger one
LARGEST_SEED = 2**32 - 1
# the smallest p of so many draws of a null is .05
FEWEST_DRAWS = 19


def typed(config: DictConfig, schema: type[T]) -> T:
    """Convert a config to its dataclass, which checks all settings in it.

    A refused setting is named as on the command line: ``benchmark.dataset.seed`` for the ``dataset.seed`` of
    the inner dataclass, or ``seed`` if that one refers to ``${seed}``.

    Raises
    ------
    FbnError
        If a setting is out of range or contradicts another one.
    """
    try:
        options = OmegaConf.to_object(config)
    except FbnError as error:
        error.args = (_named_in_full(config, str(error)),)
        raise
    assert isinstance(options, schema)
    return options


def _named_in_full(config: DictConfig, message: str) -> str:
    path, node = _refused_part(config, [])
    if len(path) > 1 and message.startswith(f"{path[-1]}."):
        message = f"{'.'.join(path[:-1])}.{message}"
    name = re.split(r"[ :]", message, maxsplit=1)[0]
    values = OmegaConf.to_container(node, resolve=False)
    assert isinstance(values, dict)
    reference = re.fullmatch(r"\$\{([\w.]+)\}", str(values.get(name.rpartition(".")[2])))
    return message.replace(name, reference[1], 1) if reference else message


def _refused_part(config: DictConfig, path: list[str]) -> tuple[list[str], DictConfig]:
    """Return the innermost part of a config whose dataclass refuses its settings."""
    for key in config:
        part = None if OmegaConf.is_missing(config, key) else config[key]
        if isinstance(part, DictConfig):
            try:
                OmegaConf.to_object(part)
            except FbnError:
                return _refused_part(part, [*path, str(key)])
    return path, config


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


def require_draws(name: str, value: int) -> None:
    """Refuse a number of draws that is no count, or too small for a p value of .05."""
    require_count(name, value)
    require(value >= FEWEST_DRAWS, name, value, f"be at least {FEWEST_DRAWS}: fewer cannot give p = .05")


def require_positive(name: str, value: float) -> None:
    """Refuse a setting that is 0, negative, NaN or too large for float32."""
    require(value > 0, name, value, "be positive")
    require_finite(name, value)


def require_at_least(name: str, value: float, least: float) -> None:
    """Refuse a setting that is below ``least``, NaN or too large for float32."""
    require(value >= least, name, value, f"be at least {least}")
    require_finite(name, value)


def require_at_most(name: str, value: float, most: float) -> None:
    """Refuse a setting that is above ``most`` or NaN."""
    require(value <= most, name, value, f"be at most {most}")


def require_finite(name: str, value: float) -> None:
    """Refuse a setting that is NaN, infinite or too large for float32."""
    require(abs(value) < FLOAT32_LIMIT, name, value, "be finite and of a magnitude below 2^128")


def require_count(name: str, value: int | None, least: int = 1) -> None:
    """Refuse a number of things that is below ``least`` or needs more than 32 bits; None is accepted."""
    if value is not None:
        require_at_least(name, value, least)
        require_at_most(name, value, LARGEST_COUNT)


def require_seed(name: str, value: int) -> None:
    """Refuse a seed that is negative or larger than every generator takes."""
    require_at_least(name, value, 0)
    require_at_most(name, value, LARGEST_SEED)


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
