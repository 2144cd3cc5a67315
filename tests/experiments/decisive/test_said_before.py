"""What is said before a run has its numbers filled in, in words that a reader understands."""

import pytest
from in_process import composed

EXPERIMENTS = ("sink", "ica", "preservation", "share")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_prediction_design_and_rule_are_prose(name):
    known = ["decisive.fine_tuned=tiny"] if name in ("preservation", "share") else []
    decisive = composed(f"experiment=decisive/{name}", "model=tiny", *known, script="evaluate").decisive
    for part in ("question", "prediction", "design", "rule"):
        text = str(decisive[part])
        assert not {"$", "[", "]"} & set(text)
        assert "ControlKind" not in text
