"""Rule on preservation: what remains above the anchor, and which rival explanations are named."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.jobs import Jobs
from fbn_exp.experiments.decisive.preservation.figure import preservation_figure
from fbn_exp.experiments.decisive.preservation.table import preservation_table
from fbn_exp.experiments.decisive.preservation.verdict import preservation_readable, preservation_verdict

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
        "job": f"{model} {members} {fill} {components}",
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
        "detectable": 0.08,
        "control_random": 0.52,
        "p_gain_random": 0.05,
        "detectable_random": 0.04,
        "draws_random": 19,
        "control_top_energy": 0.6,
        "control_attribution": 0.7,
        **more,
    }


def judged(*rows, items=(), draws=()):
    tables = [pd.DataFrame(rows), *(pd.concat(each) if each else pd.DataFrame() for each in (items, draws))]
    table = preservation_table(CONFIG, Jobs(*tables))
    return table, preservation_verdict(CONFIG, table, "a model")


def texts_of(of, right, untouched, metric="balanced_acc", **references):
    """Values of 100 texts of a job, of which a share is right, also with a reference in its place."""
    number = np.arange(100)
    return pd.DataFrame(
        {
            **{name: of[name] for name in ("job", "task")},
            "metric": metric,
            "item": number,
            "value": (number < 100 * right).astype(float),
            "baseline": (number < 100 * untouched).astype(float),
            "weight": 0.01,
            "baseline_weight": 0.01,
            **{kind: (number < 100 * share).astype(float) for kind, share in references.items()},
        }
    )


def draws_of(of, values):
    return pd.DataFrame(
        {
            **{name: of[name] for name in ("job", "task", "metric")},
            "kind": "random",
            "draw": range(len(values)),
            "value": values,
        }
    )


@pytest.mark.parametrize(
    ("kind", "share", "said"),
    [
        ("top_energy", 0.99, "as many neurons of most energy keep more"),
        ("attribution", 0.99, "as many neurons of largest attribution keep more"),
        # one text in a hundred may be chance
        ("top_energy", 0.91, "The claim holds"),
    ],
)
def test_a_reference_keeps_more_where_its_texts_show_it(kind, share, said):
    kept, none = row("all", 0.9), row("none", 0.5)
    items = [texts_of(kept, 0.9, 0.9, **{f"control_{kind}": share}), texts_of(none, 0.5, 0.9)]
    _, verdict = judged(kept, none, items=items)
    assert said in verdict.outcome


def three(kept, none, draws, probe=None):
    """Results of three classifiers: scores with networks and with nothing kept, and draws of each."""
    rows, items, drawn = [], [], []
    for place, (value, anchor) in enumerate(zip(kept, none, strict=True)):
        for members, score, probed in (("all", value, probe), ("none", anchor, 0.5)):
            own = row(members, score, model=str(place))
            rows.append(own)
            items.append(texts_of(own, score, 0.9))
            if probe is not None:
                rows.append(row(members, probed, model=str(place), metric="probe_balanced_acc"))
                items.append(texts_of(own, probed, 0.9, "probe_balanced_acc"))
        drawn.append(draws_of(row("all", value, model=str(place)), draws))
    return judged(*rows, items=items, draws=drawn)


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
    anchors = table[table["models"] == 1].set_index(["model", "fill"])["anchor"]
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
        ({"value": 0.5, "baseline": 0.53}, 0.5, "there is nothing to keep"),
    ],
)
def test_a_rival_explanation_is_named(kept, anchor, reason):
    _, verdict = judged(row("all", **kept), row("none", anchor))
    assert verdict.outcome.startswith("The claim is not reproduced on one, tweets, which could have seen")
    assert reason in verdict.outcome
    assert "false" not in verdict.outcome


def test_three_classifiers_of_a_task_have_one_verdict_and_stand_beside_it():
    table, verdict = three([0.9, 0.89, 0.91], [0.5, 0.5, 0.5], np.full(19, 0.6))
    (mean,) = table[table["models"] == 3].to_dict("records")
    assert mean["value"] == pytest.approx(0.9)
    assert mean["remains"] == pytest.approx(1.0)
    assert mean["p_gain_random"] == 0.05
    assert verdict.outcome == "The claim holds on a model, tweets (mean of 3 classifiers)."
    assert "Each classifier: 0 0.900 → 0.900, 1 0.900 → 0.890, 2 0.900 → 0.910." in verdict.numbers
    shown = preservation_readable(CONFIG, table)
    assert shown["classifier"].tolist() == ["mean of 3", "0", "1", "2"]
    assert shown["could see"].map(float).notna().all()


def test_classifiers_that_differ_widen_the_interval_of_their_mean():
    same, _ = three([0.7, 0.7, 0.7], [0.5, 0.5, 0.5], np.full(19, 0.6))
    apart, _ = three([0.5, 0.7, 0.9], [0.5, 0.5, 0.5], np.full(19, 0.6))
    widths = [float((table["high"] - table["low"])[table["models"] == 3].iloc[0]) for table in (same, apart)]
    assert widths[1] > 1.5 * widths[0]


def test_draws_of_several_classifiers_are_no_more_draws():
    table, verdict = three([0.9] * 3, [0.5] * 3, np.linspace(0.5, 0.95, 19))
    (mean,) = table[table["models"] == 3].to_dict("records")
    assert mean["draws_random"] == 19
    assert mean["p_gain_random"] == pytest.approx(4 / 20)
    assert "as many random neurons are not shown to keep less" in verdict.outcome


@pytest.mark.parametrize(
    ("head", "probe", "said"),
    [
        (0.6, 0.9, "the head no longer fits the moved states"),
        (0.6, 0.6, "part of what the head reads is lost, whatever reads it"),
        (0.9, 0.9, "what the head reads is there."),
    ],
)
def test_a_refitted_probe_tells_a_head_that_does_not_fit_from_what_is_lost(head, probe, said):
    _, verdict = three([head] * 3, [0.5] * 3, np.full(19, 0.5), probe)
    assert said in " ".join(verdict.numbers)


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


def test_a_few_resamples_with_nothing_to_keep_widen_the_interval_and_many_leave_none():
    # 100 texts, .9 against an anchor of .75 or .88: of the first, hardly any resample has no room
    table, _ = three([0.8] * 3, [0.75] * 3, [0.5] * 19)
    row = table[table["models"] == 3].iloc[0]
    assert -np.inf < row["low"] < row["remains"] < row["high"] < np.inf
    table, verdict = three([0.89] * 3, [0.88] * 3, [0.5] * 19)
    row = table[table["models"] == 3].iloc[0]
    assert (row["low"], row["high"]) == (-np.inf, np.inf)
    assert "(any share) remains" in verdict.numbers[0]
