"""Every command of the replication names options that exist, for both models and both variants."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from in_process import composed
from omegaconf import OmegaConf
from step import MODELS
from steps import STEPS


def choices(arguments):
    """Overrides with the first, and with the last, choice of each sweep."""
    parser = OverridesParser.create()
    for place in (0, -1):
        chosen = []
        for override in parser.parse_overrides(arguments):
            name = override.get_key_element()
            values = list(override.sweep_string_iterator()) if override.is_sweep_override() else None
            chosen.append(f"{name}={values[place]}" if values else override.input_line)
        yield chosen


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_command_composes(step, model, quick):
    if quick and step.quick is None:
        return
    # hydra itself tells it, in a script only
    known = (f"decisive.fine_tuned={model}",) if step.name in ("enough", "share") else ()
    arguments = step.arguments(model, "outputs/paper", quick, known)
    for chosen in choices([each for each in arguments if not each.startswith("hydra.")]):
        cfg = composed(*chosen, script=step.script.removesuffix(".py"))
        # runs the checks of values
        OmegaConf.to_object(cfg)


def test_the_quick_variant_replaces_settings_and_does_not_repeat_them():
    for step in STEPS:
        names = [each.partition("=")[0] for each in step.arguments("smollm2", "folder", quick=True)]
        assert len(names) == len(set(names)), step.name
        assert names[-1] == f"hydra.{'sweep' if step.sweep else 'run'}.dir"


def test_sizes_of_a_model_replace_those_of_all():
    (ica,) = [step for step in STEPS if step.name == "ica"]
    assert "decisive.items=30" in ica.arguments("gemma3-270m", "folder", quick=False)
    assert "decisive.items=120" in ica.arguments("smollm2", "folder", quick=False)


def test_what_is_set_otherwise_than_in_a_run_of_earlier_sizes_is_told():
    (ica,) = [step for step in STEPS if step.name == "ica"]
    now = ica.command("smollm2", "runs/smollm2", quick=False)
    assert ica.changed(now, "smollm2") == []
    earlier = now.replace("decisive.items=120", "decisive.items=240").replace("runs/", "elsewhere/")
    assert ica.changed(earlier, "smollm2") == ["decisive.items=120"]
    assert ica.changed(f"{now} decisive.texts=40", "smollm2") == ["decisive.texts by default"]


def test_p_values_have_the_draws_that_they_need():
    for step in STEPS:
        for model in MODELS:
            draws = [each for each in step.arguments(model, "folder", quick=False) if "repeats=" in each]
            assert all(int(each.partition("=")[2]) >= 19 for each in draws), step.name
