"""Tables of controls, draws and items."""

import numpy as np

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.tables import ITEM_COLUMNS, control_table, draw_table, item_table


def score_of(items, weights=None):
    return mean_score("a", "acc", np.asarray(items, dtype=float), higher_is_better=True, weights=weights)


def found():
    drawn = {
        ControlKind.random: [[score_of([0, 1])], [score_of([1, 1])]],
        ControlKind.per_block: [[score_of([0, 0])]],
    }
    return compare([score_of([0, 0], np.array([1.0, 3.0]))], [score_of([1, 0])], drawn)


def test_every_draw_and_every_kind_has_a_row():
    draws = draw_table(found())
    assert draws["kind"].tolist() == ["random", "random", "per_block"]
    assert draws["draw"].tolist() == [0, 1, 0]
    assert draws["value"].tolist() == [0.5, 1.0, 0.0]
    assert "factor" not in draws
    kinds = control_table(found()).set_index("kind")
    assert kinds["draws"].tolist() == [2, 1]
    assert kinds.loc["random", ["mean", "p_harm", "difference"]].tolist() == [0.75, 1 / 3, -0.75]


def test_the_factor_of_every_draw_stands_beside_its_score():
    (comparison,) = found()
    name = comparison.score.name
    factors = {ControlKind.random: [{name: 1.5}, {name: 2.0}], ControlKind.per_block: [{name: 1.0}]}
    assert draw_table([comparison], factors)["factor"].tolist() == [1.5, 2.0, 1.0]


def test_items_stand_with_their_weights():
    items = item_table(found())
    assert tuple(items) == (*ITEM_COLUMNS, "control_random", "control_per_block")
    assert items["control_random"].tolist() == [0.5, 1]  # the mean over two draws
    assert items["weight"].tolist() == [1, 3]
    assert items["baseline_weight"].tolist() == [1, 1]
    assert tuple(item_table([])) == ITEM_COLUMNS
