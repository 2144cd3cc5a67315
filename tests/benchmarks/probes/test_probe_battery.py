import pytest

from fbn_exp.benchmarks.probes import BATTERY, chance
from fbn_exp.benchmarks.probes.battery import Probes
from fbn_exp.benchmarks.probes.dataset import build
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.base import text_digest
from fbn_exp.datasets.probes.prompts import ProbePrompts


def test_chance_of_a_task_and_of_its_dev_half():
    assert [chance(task) for task in BATTERY] == [0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.5]
    assert chance("fbn_grammar_dev") == 0.5
    with pytest.raises(ConfigError, match="'fbn_french' is no task of the probe battery; it has: fbn_gramm"):
        chance("fbn_french")


def test_build_ignores_what_else_lm_eval_passes():
    halves = build("copying", n_items=5, item_seed=3, chance=0.25, pretrained="/some/model")
    assert {name: len(half) for name, half in halves.items()} == {"validation": 5, "test": 5}
    assert halves["test"].column_names == ["text", "choices", "gold", "kind"]
    with pytest.raises(ConfigError, match="unknown probe 'french'; there are: grammar"):
        build("french")


def test_prompts_that_a_localizer_learns_from_are_those_of_the_dev_half_alone():
    learnt = {text_digest(each.text) for each in ProbePrompts(probes=["recall"]).documents()}
    assert learnt <= Probes(["recall"], part="dev").text_digests()
    assert learnt.isdisjoint(Probes(["recall"]).text_digests())
