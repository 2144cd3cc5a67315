"""A single value is accepted where a setting is a list."""

import pytest
from in_process import composed
from omegaconf import OmegaConf

from fbn_exp.core.checks import typed


@pytest.mark.parametrize(
    ("script", "overrides", "name", "value"),
    [
        ("extract", ["dataset=files", "dataset.paths=/x/a b.txt"], "dataset.paths", ["/x/a b.txt"]),
        ("extract", ["dataset=files", "dataset.paths='a,b.txt'"], "dataset.paths", ["a,b.txt"]),
        ("extract", ["dataset=files", "dataset.paths=[a.txt,b.txt]"], "dataset.paths", ["a.txt", "b.txt"]),
        ("extract", ["tracking.tags=one"], "tracking.tags", ["one"]),
        ("extract", ["reliability=icasso", "reliability.orders=5"], "reliability.orders", [5]),
        ("evaluate", ["benchmark=lm_eval", "benchmark.tasks=piqa"], "benchmark.tasks", ["piqa"]),
        ("evaluate", ["benchmark=classification", "benchmark.labels=up"], "benchmark.labels", ["up"]),
        ("evaluate", ["benchmark=classification", "benchmark.labels=null"], "benchmark.labels", None),
        ("evaluate", ["factors=2"], "factors", [2.0]),
        ("evaluate", ["seed=3", "factors=${seed}"], "seed", 3),
        ("train", ["task.labels=up"], "task.labels", ["up"]),
    ],
)
def test_a_single_value_becomes_a_list_of_one(script, overrides, name, value):
    assert OmegaConf.select(composed(*overrides, script=script), name) == value


def test_a_single_network_becomes_a_list_of_one():
    cfg = composed("intervention.networks=3", script="evaluate")
    assert typed(cfg, object).intervention.networks == [3]
