"""The command that repeats what the page has done."""

import shlex
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fbn_exp.explorer.acting import Rule, Settings
from fbn_exp.explorer.command import evaluate_command, quoted
from fbn_exp.interventions.config import ControlKind, Fill


def words(**settings) -> list[str]:
    made = Settings(**{"prompt": "It's", "networks": (3, 4), **settings})
    return shlex.split(evaluate_command(made, Path("out/networks"), ("model=tiny",)))


def test_it_names_all_that_differs_from_what_evaluate_takes_by_itself():
    assert words() == [
        *("python", "evaluate.py", "networks=out/networks", "model=tiny"),
        *("intervention=inhibit", "intervention.networks=[3,4]"),
        *("controls.kinds=[activation]", "controls.repeats=1", "seed=0"),
        *(
            "benchmark=generation",
            'benchmark.prompts=["It\'s"]',
            "benchmark.new_tokens=40",
            "benchmark.score_prompts=true",
        ),
    ]
    one_token = evaluate_command(Settings("a", (0,)), Path("out"), (), scored=False)
    assert "score_prompts" not in one_token
    odd = evaluate_command(Settings("a", (0,)), Path("my out"), ())
    assert 'networks="my out"' in shlex.split(odd)
    projected = words(
        rule=Rule.project,
        factor=0.5,
        fill=Fill.position_mean,
        control=ControlKind.rotation,
        first_spared=True,
    )
    assert "intervention.factor=0.5" in projected
    assert "intervention.tokens=first_spared" in projected
    assert not any(each.startswith("intervention.fill") for each in projected)
    assert "intervention.fill=mean" in words(fill=Fill.mean)


@given(st.text(st.sampled_from("ab\\\"${}[]:,= \n'"), min_size=1))
def test_any_text_arrives_as_it_was_typed(text):
    (override,) = OverridesParser.create().parse_overrides([f"prompts=[{quoted(text)}]"])
    (value,) = override.value()
    assert OmegaConf.create({"prompts": [value]}).prompts[0] == text
