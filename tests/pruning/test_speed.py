"""Sizes, and intervals of medians."""

import numpy as np
import pytest
from zoo import language_model

from fbn_exp.pruning import speed
from fbn_exp.pruning.speed import compare_speed, median_interval, size_of


@pytest.mark.parametrize(("n", "place"), [(6, 0), (9, 1), (15, 3)])
def test_the_interval_of_a_median_is_that_of_order_statistics(n, place):
    assert median_interval(list(range(n))) == (place, n - 1 - place)


def test_too_few_values_have_no_interval():
    assert np.isnan(median_interval([1.0] * 5)).all()


def test_sizes_count_tied_weights_once():
    model = language_model("gpt2").model
    size = size_of(model, 7)
    assert size.parameters == sum({id(each): each.numel() for each in model.parameters()}.values())
    assert (size.mlp_parameters, size.checkpoint_bytes) == (7, None)
    assert size.weight_bytes >= 4 * size.parameters


def test_the_models_take_turns_in_going_first(monkeypatch):
    calls = []

    def timed(lm):
        calls.append(lm)
        return {"small": 1.0, "large": 2.0}[lm], 0

    monkeypatch.setattr(speed, "_timed_pass", timed)
    found = speed.compare_speed("large", "small", 4)
    assert (found.ratio, found.before) == (2.0, 128.0)
    assert calls[2::2] == ["large", "small"] * 2


def test_a_model_is_about_as_fast_as_itself():
    lm = language_model("llama")
    found = compare_speed(lm, lm, 7)
    assert found.ci_low <= found.ratio <= found.ci_high
    assert found.before > 0
    assert found.peak_before is None
