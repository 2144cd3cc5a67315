"""What differs from token to token is refused before a model loads where it would go into weights."""

import pytest

from fbn_exp.config.checks import require_foldable
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.component.config import ProjectConfig, SubtractConfig
from fbn_exp.interventions.config import InhibitConfig, NoInterventionConfig, ScaleConfig, ShiftConfig


@pytest.mark.parametrize(
    ("intervention", "named"),
    [
        (InhibitConfig(fill="position_mean"), "intervention.fill=position_mean"),
        (InhibitConfig(fill="resample"), "intervention.fill=resample"),
        (ScaleConfig(tokens="first_spared"), "intervention.tokens=first_spared"),
        (ShiftConfig(tokens="first_only"), "intervention.tokens=first_only"),
        (ProjectConfig(), "intervention.fill=position_mean"),
    ],
)
def test_settings_by_position_are_refused_by_name(intervention, named):
    with pytest.raises(
        ConfigError, match=rf"^fold=true writes the intervention into weights.*{named} treats"
    ):
        require_foldable(intervention, "fold=true")


@pytest.mark.parametrize("fill", ["zero", "position_mean"])
def test_what_no_weights_can_hold_is_refused_whatever_its_settings(fill):
    with pytest.raises(ConfigError, match=r"^export.path .*, and subtract reads time courses .*=project$"):
        require_foldable(SubtractConfig(fill=fill), "export.path")


@pytest.mark.parametrize(
    "intervention",
    [
        NoInterventionConfig(),
        InhibitConfig(),
        InhibitConfig(fill="mean"),
        ShiftConfig(),
        ProjectConfig(fill="mean"),
    ],
)
def test_others_are_not(intervention):
    require_foldable(intervention, "export.path")


@pytest.mark.parametrize(("field", "value"), [("fill", "median"), ("tokens", "last"), ("members", "some")])
def test_a_choice_that_does_not_exist_is_an_error_that_lists_those_that_do(field, value):
    with pytest.raises(ConfigError, match=rf"intervention\.{field} is '{value}', must be one of"):
        InhibitConfig(**{field: value})
