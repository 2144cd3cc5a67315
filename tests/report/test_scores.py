"""Names and values of scores in metrics and tables."""

import numpy as np
import pytest

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.inference.paired import difference
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.scores import comparison_metrics, comparison_row

BEFORE = np.array([1.0, 1.0, 0.0, 1.0])
AFTER = np.array([0.0, 1.0, 0.0, 0.0])
RANDOM, PER_BLOCK, ACTIVATION = ControlKind.random, ControlKind.per_block, ControlKind.activation


def score_of(items, chance=None):
    items = np.broadcast_to(np.asarray(items, dtype=float), 4).copy()
    return mean_score("agreement", "accuracy", items, higher_is_better=True, chance=chance)


def test_names_are_these_and_no_others():
    controls = {kind: [[score_of(0.5)], [score_of(1.0)]] for kind in ControlKind}
    (found,) = compare([score_of(AFTER, chance=0.5)], [score_of(BEFORE)], controls)
    metrics = comparison_metrics(found)
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
        "delta/agreement/accuracy/detectable": np.inf,  # five items are needed at least
        "delta/agreement/accuracy/equivalent_within": delta.equivalent_within,
    }
    for kind in [each.value for each in ControlKind]:
        expected[f"control/{kind}/agreement/accuracy"] = 0.75
        expected[f"control/{kind}/agreement/accuracy/low"] = 0.5
        expected[f"control/{kind}/agreement/accuracy/high"] = 1.0
        expected[f"control/{kind}/agreement/accuracy/rank"] = 0.0
        if not ControlKind(kind).is_chance:
            assert ControlKind(kind) not in found.among
            continue
        among = found.among[ControlKind(kind)]
        expected |= {
            f"control/{kind}/agreement/accuracy/{name}": value
            for name, value in {
                "p": 2 / 3,  # median .5: as far as one of the draws
                "p_harm": 1 / 3,
                "p_gain": 1.0,
                "difference": -0.5,
                "difference/ci_low": among.ci_low,
                "difference/ci_high": among.ci_high,
                "effect_size": -0.5 / np.std([0.5, 1.0], ddof=1),
                "detectable": np.inf,
                "equivalent_within": among.equivalent_within,
            }.items()
        }
    assert metrics == pytest.approx(expected)
    assert all(type(each) is float for each in metrics.values())
    assert -1 < delta.ci_low < 0 < delta.ci_high


def test_without_controls_and_chance_there_are_no_such_names():
    (found,) = compare([score_of(AFTER)], [score_of(BEFORE)], {})
    assert not any("control" in name or "chance" in name for name in comparison_metrics(found))
    row = comparison_row(found)
    assert (
        row["rank_random"]
        is row["control_per_block"]
        is row["control_activation_low"]
        is row["chance"]
        is None
    )


def test_each_kind_has_numbers_of_its_own():
    controls = {RANDOM: [0.1, 0.2], PER_BLOCK: [0.5], ACTIVATION: [0.2, 0.4, 0.9]}
    scores = {kind: [[score_of(each)] for each in values] for kind, values in controls.items()}
    (found,) = compare([score_of(AFTER)], [score_of(BEFORE)], scores)
    metrics, row = comparison_metrics(found), comparison_row(found)
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
    (found,) = compare([score_of(AFTER)], [score_of(BEFORE)], {RANDOM: [[score_of(0.5)]]})
    row = comparison_row(found)
    assert {name: row[name] for name in ("task", "metric", "value", "baseline", "delta", "n")} == {
        "task": "agreement",
        "metric": "accuracy",
        "value": 0.25,
        "baseline": 0.75,
        "delta": -0.5,
        "n": 4,
    }
    assert row["ci_low"] <= row["delta"] <= row["ci_high"]
    assert row["higher_is_better"] is True
    assert row["rank_random"] == found.rank(RANDOM) == 0
