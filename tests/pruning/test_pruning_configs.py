"""Settings of pruning that are out of range, or that contradict each other."""

import pytest
from in_process import composed

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.stages.prune.parts import pruning_parts


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("prune.ratio=0.96", r"prune\.ratio is 0\.96, must be from 0 to 0\.95"),
        ("prune.ratio=-0.1", r"prune\.ratio is -0\.1"),
        ("prune.spared_first=-1", r"prune\.spared_first is -1, must be at least 0"),
        ("prune.recovery.max_steps=-1", r"prune\.recovery\.max_steps is -1"),
        ("prune.recovery.learning_rate=0", r"prune\.recovery\.learning_rate is 0"),
    ],
)
def test_a_number_out_of_range_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        typed(composed(override, script="prune"), object)


def test_networks_beside_a_criterion_without_networks_are_refused(tmp_path):
    (tmp_path / "networks.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"prune\.criterion=wanda uses none"):
        typed(composed(f"networks={tmp_path}", "prune.criterion=wanda", script="prune"), object)


def test_recovery_loads_weights_in_float32():
    assert pruning_parts(composed(script="prune")).model.dtype == "auto"
    assert pruning_parts(composed("prune.recovery.max_steps=2", script="prune")).model.dtype == "float32"


def test_the_default_criterion_is_networks_of_every_block():
    parts = pruning_parts(composed(script="prune"))
    assert (parts.prune.criterion, parts.base.method.per_block, parts.base.site) == (
        "networks",
        True,
        "mlp_hidden",
    )
