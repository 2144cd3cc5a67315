import numpy as np
import pytest

from fbn_exp.experiments.paper.rules import holm, verdict


def test_a_rule_for_many_cases_holds_in_all_in_part_or_not():
    assert [verdict(3, 3), verdict(1, 3), verdict(0, 3)] == [
        "holds",
        "holds in part (1 of 3)",
        "does not hold",
    ]


def test_many_p_values_are_corrected_as_holm_does():
    # the example of R's p.adjust(c(.01, .02, .03, .04), "holm")
    assert holm(np.array([0.04, 0.01, np.nan, 0.03, 0.02])) == pytest.approx(
        [0.06, 0.04, np.nan, 0.06, 0.06], nan_ok=True
    )


def test_without_a_known_p_value_nothing_is_corrected():
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()
