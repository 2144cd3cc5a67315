import math

import numpy as np
import pytest

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.inference import difference
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.interventions.config import ControlKind

BEFORE = np.array([1.0, 1.0, 0.0, 1.0])
AFTER = np.array([0.0, 1.0, 0.0, 0.0])
RANDOM, PER_BLOCK, ACTIVATION, _ = ControlKind


def score_of(items, higher_is_better=True, task="agreement", metric="accuracy", chance=None):
    items = np.broadcast_to(np.asarray(items, dtype=float), 4).copy()
    return mean_score(task, metric, items, higher_is_better=higher_is_better, chance=chance)


def compared(value, controls, higher_is_better=True, kind=RANDOM):
    scores = [[score_of(each, higher_is_better)] for each in controls]
    baseline = [score_of(BEFORE, higher_is_better)]
    (found,) = compare([score_of(value, higher_is_better)], baseline, {kind: scores})
    return found


def test_names_are_these_and_no_others():
    controls = {kind: [[score_of(0.5)], [score_of(1.0)]] for kind in ControlKind}
    (found,) = compare([score_of(AFTER, chance=0.5)], [score_of(BEFORE)], controls)
    metrics = found.metrics()
    delta = difference(score_of(AFTER), score_of(BEFORE))
    expected = {
        "agreement/accuracy": 0.25,
        "agreement/accuracy/standard_error": 0.25,
        "agreement/accuracy/n": 4.0,
        "agreement/accuracy/chance": 0.5,
        "baseline/agreement/accuracy": 0.75,
        "delta/agreement/accuracy": -0.5,
        "delta/agreement/accuracy/ci_low": delta.ci_low,
        "delta/agreement/accuracy/ci_high": delta.ci_high,
        "delta/agreement/accuracy/p_value": 0.5,  # both signs of two items that differ
    }
    for kind in ("random", "per_block", "activation", "share"):
        expected[f"control/{kind}/agreement/accuracy"] = 0.75
        expected[f"control/{kind}/agreement/accuracy/low"] = 0.5
        expected[f"control/{kind}/agreement/accuracy/high"] = 1.0
        expected[f"control/{kind}/agreement/accuracy/rank"] = 0.0
    assert metrics == pytest.approx(expected)
    assert all(type(each) is float for each in metrics.values())
    assert delta.ci_low == -1 < delta.ci_high <= 0


def test_without_controls_and_chance_there_are_no_such_names():
    (found,) = compare([score_of(AFTER)], [score_of(BEFORE)], {})
    assert not any("control" in name or "chance" in name for name in found.metrics())
    row = found.row()
    assert (
        row["rank_random"]
        is row["control_per_block"]
        is row["control_activation_low"]
        is row["chance"]
        is None
    )


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
    assert found.metrics()["control/random/agreement/accuracy/rank"] == rank
    assert found.row()["rank_random"] == rank


@pytest.mark.parametrize(("value", "controls"), [(math.nan, [0.1, 0.2]), (0.1, [0.0, math.nan])])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_rank_among_scores_that_are_not_numbers_is_unknown(value, controls, higher_is_better):
    assert math.isnan(compared(value, controls, higher_is_better).rank(RANDOM))


def test_each_kind_has_numbers_of_its_own():
    controls = {RANDOM: [0.1, 0.2], PER_BLOCK: [0.5], ACTIVATION: [0.2, 0.4, 0.9]}
    scores = {kind: [[score_of(each)] for each in values] for kind, values in controls.items()}
    (found,) = compare([score_of(AFTER)], [score_of(BEFORE)], scores)
    metrics, row = found.metrics(), found.row()
    for kind, mean, low, high, rank in (
        ("random", 0.15, 0.1, 0.2, 1.0),
        ("per_block", 0.5, 0.5, 0.5, 0.0),
        ("activation", 0.5, 0.2, 0.9, 1 / 3),
    ):
        name = f"control/{kind}/agreement/accuracy"
        numbers = pytest.approx((mean, low, high, rank))
        assert (metrics[name], *(metrics[f"{name}/{each}"] for each in ("low", "high", "rank"))) == numbers
        columns = (f"control_{kind}", f"control_{kind}_low", f"control_{kind}_high", f"rank_{kind}")
        assert tuple(row[each] for each in columns) == numbers


def test_a_row_says_what_the_metrics_say():
    row = compared(AFTER, [0.5]).row()
    assert {name: row[name] for name in ("task", "metric", "value", "baseline", "delta", "n")} == {
        "task": "agreement",
        "metric": "accuracy",
        "value": 0.25,
        "baseline": 0.75,
        "delta": -0.5,
        "n": 4,
    }
    assert row["ci_low"] <= row["delta"] <= row["ci_high"]


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
