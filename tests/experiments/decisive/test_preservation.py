"""Rule on preservation: what remains above the anchor, and which rival explanations are named."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.jobs import Jobs
from fbn_exp.experiments.decisive.preservation import (
    preservation_readable,
    preservation_table,
    preservation_verdict,
)
from fbn_exp.experiments.decisive.preservation_figure import preservation_figure

SAID = {
    "question": "Are they?",
    "prediction": "They are.",
    "design": "Keep.",
    "rule": "Enough remains.",
    "endpoint": "balanced_acc",
    "equivalent": 0.05,
    "components": 64,
    "setting": "all/zero/64",
}
CONFIG = PreservationConfig(**SAID)


def row(members, value, components=64, fill="zero", model="one", **more):
    return {
        "task": "classification_tweets",
        "metric": "balanced_acc",
        "override/intervention.members": members,
        "override/intervention.fill": fill,
        "override/method.n_components": components,
        "override/model.name": model,
        "neurons": 30,
        "n": 100,
        "chance": 0.5,
        "baseline": 0.9,
        "value": value,
        "delta": value - 0.9,
        "ci_low": value - 0.91,
        "ci_high": value - 0.89,
        "control_random": 0.52,
        "p_gain_random": 0.05,
        "detectable_random": 0.04,
        "draws_random": 19,
        "control_top_energy": 0.6,
        "control_attribution": 0.7,
        **more,
    }


def judged(*rows):
    table = preservation_table(CONFIG, Jobs(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame()))
    return table, preservation_verdict(CONFIG, table, "a model")


def test_what_remains_is_a_share_of_what_is_above_the_anchor():
    table, _ = judged(row("all", 0.8), row("none", 0.4))
    (kept,) = table.to_dict("records")
    assert kept["anchor"] == 0.4
    assert kept["remains"] == pytest.approx((0.8 - 0.4) / (0.9 - 0.4))
    assert (kept["low"], kept["high"]) == pytest.approx((0.39 / 0.5, 0.41 / 0.5))


def test_every_result_has_the_anchor_of_its_model_and_fill():
    table, _ = judged(
        row("all", 0.8),
        row("none", 0.4),
        row("all", 0.8, fill="position_mean"),
        row("none", 0.6, fill="position_mean"),
        row("all", 0.7, model="two"),
        row("none", 0.5, model="two"),
    )
    anchors = table.set_index(["model", "fill"])["anchor"]
    assert anchors.to_dict() == {("one", "zero"): 0.4, ("one", "position_mean"): 0.6, ("two", "zero"): 0.5}


def test_the_claim_holds_where_enough_remains_and_nothing_else_explains_it():
    _, verdict = judged(row("all", 0.9), row("none", 0.5))
    assert verdict.outcome == "The claim holds on one, tweets."
    assert "100% (98% … 102%) remains" in verdict.numbers[0]


@pytest.mark.parametrize(
    ("kept", "anchor", "reason"),
    [
        ({"value": 0.6}, 0.5, "the task is not kept"),
        ({"value": 0.88}, 0.5, "the task is not shown to be kept"),
        ({"value": 0.9}, 0.86, "no neuron at all keeps as much"),
        ({"value": 0.9, "p_gain_random": 0.3}, 0.5, "as many random neurons are not shown to keep less"),
        ({"value": 0.9, "control_top_energy": 0.91}, 0.5, "as many neurons of most energy keep more"),
        (
            {"value": 0.9, "control_attribution": 0.91},
            0.5,
            "as many neurons of largest attribution keep more",
        ),
        ({"value": 0.5, "baseline": 0.53}, 0.5, "there is nothing to keep"),
    ],
)
def test_a_rival_explanation_is_named(kept, anchor, reason):
    _, verdict = judged(row("all", **kept), row("none", anchor))
    assert verdict.outcome.startswith("The claim is not reproduced on one, tweets, which could have seen")
    assert reason in verdict.outcome
    assert "false" not in verdict.outcome


def test_each_seed_of_a_classifier_has_its_verdict():
    rows = [row("all", 0.9), row("none", 0.5), row("all", 0.6, model="two"), row("none", 0.5, model="two")]
    _, verdict = judged(*rows)
    assert verdict.outcome.startswith("The claim holds on one, tweets. The claim is not reproduced on two")
    assert len(verdict.numbers) == 2


def test_nothing_is_judged_without_an_anchor_or_the_networks_of_the_claim():
    with pytest.raises(NetworksError, match="keeps no neuron"):
        judged(row("all", 0.8))
    _, verdict = judged(row("all", 0.8, components=10), row("none", 0.5, components=10))
    assert verdict.outcome.startswith("Undecided")


def test_a_share_of_nothing_is_said_to_be_none():
    table, _ = judged(row("all", 0.8), row("none", 0.9))
    assert np.isnan(table["remains"]).all()
    assert preservation_readable(CONFIG, table)["remains"].tolist() == ["no share of anything"]


def test_the_picture_has_a_panel_for_each_fill():
    rows = [
        row(members, 0.7, k, fill)
        for members in ("all", "none")
        for k in (10, 64)
        for fill in ("zero", "mean")
    ]
    table, _ = judged(*rows)
    figure = preservation_figure(CONFIG, table, "a model")
    assert [axes.get_title() for axes in figure.axes] == [
        f"one\ntweets, others at {fill}" for fill in ("zero", "mean")
    ]
    assert [each.get_text() for each in figure.axes[0].get_xticklabels()] == ["10\n(30)", "64\n(30)"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 1.5}, r"decisive\.share"),
        ({"draws": 3}, r"decisive\.draws"),
        ({"components": 0}, "components"),
    ],
)
def test_what_an_experiment_says_is_checked(wrong, message):
    with pytest.raises(ConfigError, match=message):
        PreservationConfig(**{**SAID, **wrong})
