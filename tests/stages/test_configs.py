"""Every yaml of every group composes and gives the object that it names."""

from pathlib import Path

import pytest
from in_process import composed

from fbn_exp.config.register import SCHEMAS
from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.base import TextDataset
from fbn_exp.interventions.rules import Intervention
from fbn_exp.methods.base import Decomposition
from fbn_exp.models.config import ModelConfig
from fbn_exp.reliability.base import Reliability
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.stages.build import built, plain
from fbn_exp.thresholds.base import Threshold
from fbn_exp.tracking.base import Tracker

CONF = Path(__file__).parents[2] / "conf"
KINDS = {
    "dataset": TextDataset,
    "method": Decomposition,
    "reliability": Reliability,
    "threshold": Threshold,
    "tracking": Tracker,
}


def options(group: str) -> list[str]:
    found = sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    assert found
    return found


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in KINDS for option in options(group)]
)
def test_every_option_composes_and_builds_its_object(tmp_path, group, option):
    (tmp_path / "a.txt").write_text("some text")
    more = {
        "files": [f"dataset.paths=[{tmp_path / 'a.txt'}]"],
        "conditions": ["+dataset@dataset.conditions.one=wiki"],
    }.get(option, [])
    cfg = composed(f"{group}={option}", "seed=7", *more)
    made = built(cfg[group], KINDS[group])
    assert getattr(made, "seed", 7) == 7  # one seed reaches every part that has one
    assert plain(cfg)[group]["_target_"] == f"{type(made).__module__}.{type(made).__name__}"


@pytest.mark.parametrize("option", options("method/contrasts"))
def test_every_contrast_composes_and_compares_conditions_that_there_are(tmp_path, option):
    (tmp_path / "a.txt").write_text("some text")
    sides = ("positive", "negative")
    more = {
        "files": [f"dataset.conditions.{side}.paths=[{tmp_path / 'a.txt'}]" for side in sides],
        "labels": ["dataset=tweets", *(f"method.contrasts.labels.{side}=[{side}]" for side in sides)],
    }.get(option, [])
    cfg = composed("method=localizer", f"method/contrasts={option}", *more)
    typed(cfg, object)
    assert built(cfg.method, Decomposition).names_ is None


@pytest.mark.parametrize("option", options("intervention"))
def test_every_intervention_composes_and_builds_its_object(option):
    cfg = composed(f"intervention={option}", "intervention.networks=[0,2]", script="evaluate")
    made = built(cfg.intervention, Intervention)
    assert made.networks == [0, 2]
    assert made.describe()


@pytest.mark.parametrize("option", options("model"))
def test_every_model_composes(option):
    assert typed(composed(f"model={option}").model, ModelConfig).name


@pytest.mark.parametrize("model", ["gpt2", "qwen2.5-3b", "chatglm3", "llama3"])
@pytest.mark.parametrize("experiment", options("experiment/paper"))
def test_every_experiment_of_the_paper_takes_another_model_by_one_override(experiment, model):
    by_default = composed(f"experiment=paper/{experiment}", script="evaluate")
    cfg = composed(f"experiment=paper/{experiment}", f"model={model}", script="evaluate")
    assert typed(cfg.model, ModelConfig) == typed(composed(f"model={model}").model, ModelConfig)
    assert isinstance(built(cfg.intervention, Intervention), Intervention)
    assert {each for each in cfg if cfg[each] != by_default[each]} == {"model"}


@pytest.mark.parametrize("model", ["smollm2", "gemma3-270m", "gpt2", "llama3"])
def test_pruning_curves_take_any_model(model):
    cfg = composed("experiment=pruning/curves", f"model={model}", script="prune")
    assert typed(cfg.model, ModelConfig) == typed(composed(f"model={model}").model, ModelConfig)
    assert not typed(cfg, SCHEMAS["prune"]).prune.keep


@pytest.mark.parametrize(("option", "excluded", "how"), [("paper", 0, "none"), ("stable", 1, "zscore")])
def test_signal_presets_are_what_their_comments_say(option, excluded, how):
    signals = typed(composed(f"signals={option}").signals, SignalsConfig)
    assert (signals.first_tokens_excluded, signals.standardise) == (excluded, how)


def test_no_preset_is_left_without_a_test():
    assert options("signals") == ["paper", "stable"]


@pytest.mark.parametrize("script", ["extract", "evaluate", "train", "prune"])
def test_all_default_settings_of_a_script_are_in_range_and_go_together(script):
    assert isinstance(typed(composed(script=script), object), SCHEMAS[script])


def test_the_error_of_a_constructor_arrives_without_hydras_wrapping():
    with pytest.raises(ConfigError, match=r"^threshold\.rate is 2\.0") as caught:
        built(composed("threshold=fdr", "threshold.rate=2").threshold, Threshold)
    assert caught.value.__suppress_context__


def test_divergence_is_no_measure_of_forgetting():
    cfg = composed(
        "dataset=math", "task=language_modeling", "+benchmark@forgetting.far=divergence", script="train"
    )
    with pytest.raises(ConfigError, match=r"forgetting\.far is divergence.* take perplexity"):
        typed(cfg, object)
