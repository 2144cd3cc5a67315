"""Checks of settings, made while a config becomes the dataclasses that it stands for."""

from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from fbn_exp.core.checks import require_at_least, require_positive, typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import InterventionConfig


@dataclass
class Inner:
    rate: float = 1.0

    def __post_init__(self) -> None:
        require_positive("inner.rate", self.rate)


@dataclass
class Outer:
    one: Inner = field(default_factory=Inner)
    many: dict[str, Inner] = field(default_factory=dict)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
@pytest.mark.parametrize("place", ["one", "many"])
def test_the_message_of_a_check_arrives_as_it_is_from_any_depth(place, value):
    wrong = {"rate": value} if place == "one" else {"a": {"rate": value}}
    config = OmegaConf.merge(OmegaConf.structured(Outer), {place: wrong})
    with pytest.raises(ConfigError, match=rf"^inner\.rate is {float(value)}, must be positive$"):
        typed(config, Outer)


def test_a_refused_setting_is_named_as_on_the_command_line():
    @dataclass
    class Middle:
        inner: Inner = field(default_factory=Inner)

    @dataclass
    class Root:
        speed: float = 1.0
        middle: Middle = field(default_factory=Middle)

    config = OmegaConf.structured(Root)
    config.middle.inner.rate = -1
    with pytest.raises(ConfigError, match=r"^middle\.inner\.rate is -1\.0, must be positive$"):
        typed(config, Root)
    config.speed = -2
    config.middle.inner.rate = "${speed}"
    with pytest.raises(ConfigError, match=r"^speed is -2\.0, must be positive$"):
        typed(config, Root)


def test_a_number_that_is_none_is_below_every_limit():
    with pytest.raises(ConfigError, match="must be at least 0"):
        require_at_least("inner.rate", float("nan"), 0)


def test_a_class_from_outside_keeps_its_name_and_the_settings_of_its_yaml():
    schema = OmegaConf.structured(InterventionConfig, flags={"struct": False})
    config = OmegaConf.merge(schema, {"_target_": "mine.Fade", "networks": [1], "share": 0.5})
    made = typed(config, InterventionConfig)
    assert (made._target_, made.networks, made.share) == ("mine.Fade", [1], 0.5)
    config.networks = []
    with pytest.raises(ConfigError, match=r"intervention\.networks is \[\]"):
        typed(config, InterventionConfig)
