import math

import numpy as np
import pytest

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.interventions.config import ControlKind

BEFORE = np.array([1.0, 1.0, 0.0, 1.0])
AFTER = np.array([0.0, 1.0, 0.0, 0.0])
RANDOM = ControlKind.random


def score_of(items, higher_is_better=True, task="agreement", metric="accuracy", chance=None):
    items = np.broadcast_to(np.asarray(items, dtype=float), 4).copy()
    return mean_score(task, metric, items, higher_is_better=higher_is_better, chance=chance)


def compared(value, controls, higher_is_better=True, kind=RANDOM):
    scores = [[score_of(each, higher_is_better)] for each in controls]
    baseline = [score_of(BEFORE, higher_is_better)]
    (found,) = compare([score_of(value, higher_is_better)], baseline, {kind: scores})
    return found


@pytest.mark.parametrize(
    ("value", "controls", "higher_is_better", "rank"),
    [
        # accuracy of 0.2: one of four controls is worse
        (0.2, [0.1, 0.3, 0.4, 0.9], True, 0.25),
        # perplexity of 0.2: the three larger ones are worse
        (0.2, [0.1, 0.3, 0.4, 0.9], False, 0.75),
        (0.0, [0.1, 0.3], True, 0.0),
        (9.0, [0.1, 0.3], False, 0.0),
        (9.0, [0.1, 0.3], True, 1.0),
        (0.2, [0.2, 0.2, 0.1, 0.3], True, 0.5),
        (0.2, [0.2, 0.1], False, 0.25),
        (math.inf, [math.inf, 3.0], False, 0.25),
        (3.0, [math.inf, math.inf], False, 1.0),
    ],
)
def test_rank_is_the_share_of_controls_that_score_worse(value, controls, higher_is_better, rank):
    found = compared(value, controls, higher_is_better)
    assert found.rank(RANDOM) == rank


@pytest.mark.parametrize(("value", "controls"), [(math.nan, [0.1, 0.2]), (0.1, [0.0, math.nan])])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_rank_among_scores_that_are_not_numbers_is_unknown(value, controls, higher_is_better):
    assert math.isnan(compared(value, controls, higher_is_better).rank(RANDOM))


def test_scores_are_matched_by_name_not_by_order():
    names = [("agreement", "accuracy"), ("agreement", "nats"), ("recall", "accuracy")]

    def all_of(shift, order):
        return [score_of(shift + place / 10, task=names[place][0], metric=names[place][1]) for place in order]

    found = compare(all_of(1, [0, 1, 2]), all_of(0, [2, 0, 1]), {RANDOM: [all_of(2, [1, 2, 0])]})
    assert [(each.score.task, each.score.metric) for each in found] == names
    for place, each in enumerate(found):
        assert each.baseline.name == each.controls[RANDOM][0].name == each.score.name
        assert each.delta.value == pytest.approx(1)
        assert each.controls[RANDOM][0].value == pytest.approx(2 + place / 10)


def test_a_score_that_the_baseline_or_a_control_lacks_is_an_error():
    scores, other = [score_of(AFTER)], [score_of(AFTER, metric="nats")]
    for baseline, controls in ((other, {}), (scores, {RANDOM: [scores, other]})):
        with pytest.raises(BenchmarkError, match="agreement/accuracy was scored under the intervention"):
            compare(scores, baseline, controls)


def test_a_distance_from_the_untouched_model_is_no_test_against_it_but_has_a_place_among_draws():
    def distance(*items):
        values = np.array(items)
        return [mean_score("tales", "kl", values, higher_is_better=False, from_untouched=True)]

    draws = [distance(0.1, 0.2, 0.3), distance(0.2, 0.3, 0.2)]
    (found,) = compare(distance(1.0, 2.0, 3.0), distance(0.0, 0.0, 0.0), {RANDOM: draws})
    assert (found.delta.value, found.delta.ci_low > 0) == (2.0, True)
    assert np.isnan([found.delta.p_value, found.delta.detectable, found.delta.equivalent_within]).all()
    assert found.among[RANDOM].p_value == pytest.approx(1 / 3)
