"""The three conditions, their control, and texts that are written while somebody looks on."""

import itertools
from threading import Event

import pytest
import torch

from fbn_exp.core.errors import ConfigError
from fbn_exp.explorer.acting import Condition, Rule, Settings, acted, controls_for
from fbn_exp.interventions.config import ControlKind, Fill
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_controls
from fbn_exp.interventions.edit import applied
from fbn_exp.models.hooks import is_edited

PROMPT = "The river rises in the"


def last(bench, stop=None, **settings):
    asked = Settings(PROMPT, **{"networks": (0,), "new_tokens": 6, **settings})
    *_, results = acted(bench, asked, stop or Event())
    return results


def test_each_condition_writes_what_the_model_writes_then(bench):
    results = last(bench)
    lesion = results.settings.intervention.on(bench.networks, bench.threshold)
    outcomes = results.outcomes
    assert outcomes[Condition.untouched].text == bench.lm.generate(PROMPT, 6)
    with lesion.applied(bench.lm):
        assert outcomes[Condition.intervened].text == bench.lm.generate(PROMPT, 6)
    assert all(outcome.finished for outcome in outcomes.values())
    assert not is_edited(bench.lm.model)


def test_losses_and_probabilities_are_those_of_the_edited_model(bench):
    results = last(bench)
    ids = torch.tensor([bench.lm.tokenizer(PROMPT)["input_ids"]])
    lesion = results.settings.intervention.on(bench.networks, bench.threshold)
    with torch.no_grad(), lesion.applied(bench.lm):
        output = bench.lm.model(ids, labels=ids)
    outcome = results.outcomes[Condition.intervened]
    assert outcome.losses.mean().item() == pytest.approx(output.loss.item(), rel=1e-5)
    torch.testing.assert_close(outcome.probabilities, output.logits[0, -1].softmax(dim=0))
    assert len(results.pieces) == len(outcome.losses) + 1


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_each_of_its_controls(bench, rule):
    for kind in controls_for(rule):
        fill = Fill.position_mean if rule is Rule.project else Fill.zero
        results = last(bench, rule=rule, control=kind, factor=0.5, fill=fill, first_spared=True)
        assert set(results.outcomes) == set(Condition)
        assert results.remarks == []


def test_a_factor_of_one_changes_nothing(bench):
    untouched, intervened, _ = last(bench, rule=Rule.scale, factor=1.0).outcomes.values()
    assert torch.equal(untouched.losses, intervened.losses)
    assert untouched.text == intervened.text


def test_the_control_is_the_one_that_evaluate_draws(bench):
    settings = Settings(PROMPT, (0, 1), seed=7, new_tokens=6)
    lesion = settings.intervention.on(bench.networks, bench.threshold)
    original = Original(lesion.target, lesion.intervention, bench.networks, bench.threshold)
    drawn = draw_controls(original, ControlsConfig([settings.control], repeats=1, seed=7))
    (control,) = drawn.by_kind[settings.control]
    *_, results = acted(bench, settings, Event())
    with applied(bench.lm.model, bench.networks.layout, control.edit(lesion.intervention)):
        assert results.outcomes[Condition.control].text == bench.lm.generate(PROMPT, 6)


def test_the_texts_grow_token_by_token(bench):
    texts = [
        results.outcomes[Condition.untouched].text
        for results in acted(bench, Settings(PROMPT, (0,), new_tokens=6), Event())
        if Condition.untouched in results.outcomes
    ]
    distinct = list(dict.fromkeys(texts))
    assert len(distinct) > 3
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(distinct))


def test_stop_ends_the_texts_and_leaves_no_edit(bench):
    stop = Event()
    growing = acted(bench, Settings(PROMPT, (0,), new_tokens=200), stop)
    for results in growing:
        if len(results.outcomes) == 3 and results.outcomes[Condition.untouched].text:
            stop.set()
    assert len(bench.lm.tokenizer(results.outcomes[Condition.untouched].text)["input_ids"]) < 200
    assert results.outcomes[Condition.control].text == ""
    assert all(outcome.stopped for outcome in results.outcomes.values())
    assert "Stopped" in results.remarks[-1]
    assert not is_edited(bench.lm.model)


def test_a_run_that_nobody_follows_leaves_no_edit_behind(bench):
    growing = acted(bench, Settings(PROMPT, (0,), new_tokens=200), Event())
    for results in growing:
        if Condition.control in results.outcomes and results.outcomes[Condition.untouched].finished:
            break
    growing.close()
    # held by the thread that writes until it has ended
    with bench.busy:
        assert not is_edited(bench.lm.model)


def test_a_control_that_cannot_be_drawn_is_a_remark(bench):
    networks = tuple(range(len(bench.networks)))
    results = last(bench, networks=networks, rule=Rule.project, control=ControlKind.rotation)
    assert Condition.intervened in results.outcomes
    assert Condition.control in results.outcomes or results.remarks


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": ()},
        {"new_tokens": 0},
        {"new_tokens": 10_000},
        {"seed": -1},
        {"rule": Rule.project, "control": ControlKind.activation},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        Settings(PROMPT, **{"networks": (0,), **wrong})


def test_an_empty_and_a_long_text_are_refused_in_words(bench):
    with pytest.raises(ConfigError, match="the text is empty"):
        next(acted(bench, Settings("", (0,)), Event()))
    # a byte is a token of the tiny model
    with pytest.raises(ConfigError, match="the text has 513 tokens, 512 are possible: shorten it"):
        next(acted(bench, Settings("a" * 513, (0,)), Event()))
