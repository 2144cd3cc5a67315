"""Settings for another number of networks than there will be are refused before a model loads."""

import pytest
from in_process import composed

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["intervention.factor=[0,2]"], "intervention.factor has 2 values for 10 networks"),
        (["method.n_components=3", "intervention.factor=[0,2]"], "2 values for 3 networks"),
        (["intervention=shift", "intervention.value=[0,2]"], "intervention.value has 2 values for 10"),
        (["intervention=project", "intervention.factor=[0,2]"], "intervention.factor has 2 values for 10"),
        (["intervention.networks=[0,10]"], r"names \[10\], there are networks 0 to 9"),
    ],
)
def test_settings_for_other_networks_than_there_will_be_are_refused_first(overrides, said):
    with pytest.raises(ConfigError, match=said):
        typed(composed(*overrides, script="evaluate"), object)


@pytest.mark.parametrize(
    "overrides",
    [
        ["method.n_components=2", "intervention.factor=[0,2]"],
        # how many networks there will be is not known yet
        ["method.n_components=auto", "intervention.factor=[0,2]"],
        ["method.per_block=true", "intervention.networks=[30]"],
    ],
)
def test_settings_that_can_fit_are_accepted(overrides):
    typed(composed(*overrides, script="evaluate"), object)
