"""What a verdict says, and what could have been seen where it says no."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.experiments.paper.rules import (
    dissociation_power,
    draws_in_words,
    not_reproduced,
    place,
    verdict,
)


def test_a_rule_for_many_cases_holds_in_all_in_part_or_is_not_reproduced():
    assert [verdict(each, 3, "a model, some tasks", [0.2]) for each in (3, 1, 0)] == [
        "reproduced",
        "reproduced in part (1 of 3)",
        "not reproduced on a model, some tasks, which could have seen an effect of 0.2",
    ]


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ([], "not reproduced on m"),
        ([np.nan], "not reproduced on m"),
        ([0.25, 0.1], "not reproduced on m, which could have seen an effect of 0.1 to 0.25"),
        ([0.1, np.inf], "not reproduced on m, which could have seen an effect of 0.1, in 1 of 2 cases none"),
        ([np.inf, np.inf], "not shown on m, where no likely effect could have been seen"),
    ],
)
def test_what_could_have_been_seen_is_part_of_the_verdict(effects, said):
    assert not_reproduced("m", effects) == said
    assert "false" not in said


def test_a_place_names_the_model_and_few_tasks():
    def rows(*tasks):
        return pd.DataFrame({"task": tasks})

    assert place("base model", rows("fbn_grammar", "fbn_grammar")) == "base model, grammar"
    assert place("base model", rows("a", "b", "c")) == "base model, 3 tasks"


def test_few_items_cannot_show_a_double_dissociation_and_four_hundred_can():
    low, middle, high = (dissociation_power(0.2, 0.2, n, 315) for n in (40, 100, 400))
    assert low < 0.01
    assert 0.01 < middle < 0.6
    assert high > 0.99


def test_draws_are_said_with_the_smallest_p_that_they_allow():
    assert draws_in_words(pd.DataFrame({"draws": [5.0, 19.0]})) == "5 draws of each kind (p ≥ 0.17)"
    assert draws_in_words(pd.DataFrame({"draws": [np.nan]})) == "draws unknown"
