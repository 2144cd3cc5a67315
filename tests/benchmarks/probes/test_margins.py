"""Margins of choices, from items as lm-eval logs them."""

import numpy as np

from fbn_exp.benchmarks.probes.battery import Probes, margins


def test_a_margin_is_to_the_best_wrong_choice_and_items_are_in_order():
    samples = [
        {"doc_id": 1, "filtered_resps": [(-3.0, False), (-1.0, True), (-2.0, False)], "target": 1},
        {"doc_id": 0, "filtered_resps": [(-3.0, False), (-1.0, True), (-2.0, False)], "target": 0},
    ]
    np.testing.assert_allclose(margins(samples), [-2.0, 1.0])


def test_margins_are_scored_where_they_are_asked_for():
    assert Probes(["grammar"]).score_names() == ["fbn_grammar/acc"]
    assert Probes(["grammar"], margin=True).score_names() == ["fbn_grammar/acc", "fbn_grammar/margin"]
