"""What is said of recurrence: numbers, remarks and a picture, for one template and for several."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from fbn_exp.analysis.consistency import Findings
from fbn_exp.analysis.recurrence.comparison import compare
from fbn_exp.analysis.recurrence.matches import matches_of
from fbn_exp.report.analyses import present

N_TEXTS = 9


def findings(n_templates=3, **changes):
    """Networks that match their own template, beside nulls in which they match any."""
    rng = np.random.default_rng(0)

    def matched(diagonal):
        overlaps = [rng.uniform(0, 0.1, (n_templates, 4)) for _ in range(N_TEXTS)]
        for overlap in overlaps:
            overlap[np.arange(n_templates), np.arange(n_templates)] += diagonal
        return matches_of(overlaps, 0.2, overlaps)

    found, shifted = matched(0.5), matched(0.0)
    drawn = {null: [matched(0.1) for _ in range(39)] for null in ("masks", "degrees", "rotations")}
    nulls = compare(found, drawn, {"shift": shifted}, 500, rng)
    sizes = torch.full((n_templates,), 20).numpy()
    return replace(
        Findings(found, shifted, nulls, None, sizes, 20.0, 4, 1.0, 500.0, 0.2, "group", "texts", None),
        **changes,
    )


def test_effects_and_ratios_stand_beside_every_null():
    metrics = present(findings()).metrics
    for null in ("masks", "shift", "degrees", "rotations"):
        for kind in ("chance", "p_value", "effect", "ratio"):
            assert f"consistency/specificity/{kind}_{null}" in metrics
    assert metrics["consistency/specificity"] == pytest.approx(0.5, abs=0.05)
    assert metrics["consistency/own_largest"] == 1
    assert metrics["consistency/specificity/effect_rotations"] > 10
    assert metrics["consistency/above_chance"] == 3
    assert metrics["consistency/tokens_per_square"] == pytest.approx(500 / 16)


def test_a_single_template_has_no_other_to_be_told_from():
    said = present(findings(n_templates=1))
    assert not any("specificity" in name or "own_largest" in name for name in said.metrics)
    assert not any("than with the others" in line for line in said.lines)
    assert "own − other" not in said.rows


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"converged": 0.7}, "ICA converged in 70% of the texts only"),
        ({"tokens": 128.0}, r"128 tokens for 4 networks, 8.0 K².*Särelä & Vigário"),
    ],
)
def test_texts_that_are_too_short_or_did_not_converge_are_remarked_on(changes, remark):
    (halved, said) = sorted(present(findings(**changes)).remarks, key=lambda text: "halved" not in text)
    assert "no test-retest numbers" in halved
    assert re.search(remark, said)


def test_a_method_without_iterations_has_no_share_of_converged_texts():
    said = present(findings(converged=None))
    assert "consistency/converged" not in said.metrics
    assert not any("ICA converged" in line for line in said.lines)


@pytest.mark.parametrize("n_templates", [1, 3])
def test_every_number_of_templates_has_a_picture(n_templates, tmp_path):
    file = tmp_path / "consistency.png"
    present(findings(n_templates)).figures["consistency"]().savefig(file)
    assert file.stat().st_size > 5_000
