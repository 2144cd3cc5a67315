"""What is said of p values, of few draws, and of results that show nothing."""

import math

import numpy as np
import pytest

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.words import MOST_NAMES, among_text, inference_lines, p_text


def score_of(value, task="agreement", higher_is_better=True):
    return Score(task, "f1", value, 0.01, 50, higher_is_better)


def compared(value, draws, baseline=0.9, **more):
    drawn = {ControlKind.random: [[score_of(each, **more)] for each in draws]} if len(draws) else {}
    return compare([score_of(value, **more)], [score_of(baseline, **more)], drawn)


@pytest.mark.parametrize(
    ("p_value", "said"),
    [(0.0001, "<.001"), (0.002, ".002"), (0.01, ".01"), (0.17, ".17"), (1.0, "1"), (math.nan, "–")],
)
def test_p_values_are_short(p_value, said):
    assert p_text(p_value) == said


def test_arrows_say_on_which_side_of_the_draws_a_score_lies_if_it_is_shown():
    (found,) = compared(0.1, np.linspace(0.5, 0.7, 99))
    assert among_text(found.among[ControlKind.random]) == "↓.01"
    (loss,) = compared(0.1, np.linspace(0.5, 0.7, 99), higher_is_better=False)
    assert among_text(loss.among[ControlKind.random]) == "↑.01"
    # better than the mean of the draws, and worse than all but two of them
    (extreme,) = compared(5.0, [*np.linspace(0.9, 1.1, 97), 1000.0, 1000.0], higher_is_better=False)
    assert among_text(extreme.among[ControlKind.random]) == "↓.03"
    (found,) = compared(0.6, np.linspace(0.5, 0.7, 99))
    assert among_text(found.among[ControlKind.random]) == "1"
    assert among_text(None) == "–"


def test_one_sided_p_is_said_where_distances_from_the_median_do_not_see_it():
    draws = np.exp(np.linspace(-2.3, 2.3, 99))
    comparisons = compared(0.09, draws, baseline=0.09, higher_is_better=False)
    lines = inference_lines(comparisons)
    (said,) = (line for line in lines if "short side" in line)
    assert said.endswith("one-sided p there: agreement/f1 random ↑.01.")
    assert not any("No difference from random draws" in line for line in lines)


def test_few_draws_are_said_to_show_nothing():
    lines = inference_lines(compared(0.1, [0.5, 0.6, 0.7, 0.8, 0.9]))
    assert any("With 5 draws p cannot be below .17" in line for line in lines)
    assert not any("cannot be" in line for line in inference_lines(compared(0.1, np.linspace(0.5, 0.7, 19))))


def test_where_nothing_is_shown_what_could_have_been_seen_stands_beside_it():
    _, brackets, untouched, random = inference_lines(compared(0.895, np.linspace(0.85, 0.95, 39)))
    assert brackets.startswith("In brackets, the difference that 80% of experiments would have shown")
    assert brackets.endswith("by its 90% interval; beside draws, of the difference from their mean:")
    error = math.hypot(0.01, 0.01)
    assert untouched.startswith("No difference from the untouched model is shown")
    assert untouched.endswith(f": agreement/f1 (±{2.8016 * error:.2g}; ±0.028).")
    assert random.startswith("No difference from random draws is shown")
    # of a result that differs, nothing is said
    assert len(inference_lines(compared(0.1, np.linspace(0.85, 0.95, 39)))) == 1


def test_four_items_could_not_have_shown_anything():
    items = mean_score("a", "acc", np.ones(4), higher_is_better=True)
    brackets, line = inference_lines(compare([items], [items], {}))
    assert brackets.endswith("by its 90% interval:")
    assert "a/acc (none; ±" in line


def test_many_results_are_cut_short():
    _, line = inference_lines([each for task in range(20) for each in compared(0.9, [], task=f"task{task}")])
    assert line.count("task") == MOST_NAMES
    assert line.endswith(f", and {20 - MOST_NAMES} more.")


def test_noise_is_said_to_be_no_other_choice_of_neurons():
    draws = [[score_of(each)] for each in np.linspace(0.5, 0.7, 99)]
    said = {
        kind: " ".join(inference_lines(compare([score_of(0.1)], [score_of(0.9)], {kind: draws})))
        for kind in (ControlKind.noise, ControlKind.random)
    }
    assert (
        "Noise of the same norm, mean of its draws: agreement/f1 0.6. It has no p" in said[ControlKind.noise]
    )
    assert "p under a kind" not in said[ControlKind.noise]
    assert "Noise" not in said[ControlKind.random]
