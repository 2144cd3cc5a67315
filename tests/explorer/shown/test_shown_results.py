"""Results of an intervention as numbers and html."""

from threading import Event

import pytest
import torch

from fbn_exp.explorer.acting import Condition, Outcome, Settings, acted
from fbn_exp.explorer.shown.results import NEXT_TOKENS, losses, next_tokens, results_shown

A, B = Condition.untouched, Condition.intervened


def test_the_likeliest_tokens_of_any_condition_are_compared_in_the_order_of_the_untouched_model():
    first, second = torch.zeros(20), torch.zeros(20)
    first[[3, 5]] = torch.tensor([0.7, 0.3])
    second[[11, 5]] = torch.tensor([0.9, 0.1])
    rows = next_tokens({A: Outcome(probabilities=first), B: Outcome(probabilities=second)})
    assert [token for token, _ in rows[:3]] == [3, 5, 11]
    assert rows[1][1] == pytest.approx([0.3, 0.1])
    assert len(rows) == NEXT_TOKENS


def test_losses_stand_beside_their_change_and_the_first_token_has_none():
    outcomes = {A: Outcome(torch.tensor([1.0, 3.0])), B: Outcome(torch.tensor([2.0, 2.5]))}
    untouched, edited = losses(["a", "b", "c"], outcomes)
    assert untouched == (A, 2.0, [("a", None, None), ("b", 1.0, 0.0), ("c", 3.0, 0.0)])
    assert edited == (B, 2.25, [("a", None, None), ("b", 2.0, 1.0), ("c", 2.5, -0.5)])


def test_hostile_texts_stay_text_while_results_grow(bench):
    evil = "<img src=x onerror=alert(1)>"
    assert "Choose networks" in results_shown(bench, None)
    for results in acted(bench, Settings(evil, (0,), new_tokens=4), Event()):
        shown = results_shown(bench, results)
        assert "<img" not in shown
        assert "&lt;img src=x" in shown or "&lt;" in shown
    assert shown.count("<article") == 3
    assert "▍" not in shown


def test_a_stopped_text_does_not_read_as_ended(bench):
    stop = Event()
    for results in acted(bench, Settings("a b", (0,), new_tokens=200), stop):
        if len(results.outcomes) == 3 and results.outcomes[A].text:
            stop.set()
    shown = results_shown(bench, results)
    assert shown.count("(stopped)") == 1
    assert shown.count("(stopped before it began)") == 2
    assert "ends here" not in shown


def test_a_prompt_of_one_token_has_no_loss(bench):
    *_, results = acted(bench, Settings("a", (0,), new_tokens=4), Event())
    assert "– nats per token" in results_shown(bench, results)
