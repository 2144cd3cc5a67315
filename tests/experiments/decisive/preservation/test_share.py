"""Rule on a share of random neurons: drawn outside networks and from all, beside the networks."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.core.errors import NetworksError
from fbn_exp.experiments.decisive.config import ShareConfig
from fbn_exp.experiments.decisive.jobs import Jobs
from fbn_exp.experiments.decisive.preservation.share import share_readable, share_table, share_verdict
from fbn_exp.experiments.decisive.preservation.share_figure import share_figure

CONFIG = ShareConfig(
    question="Do they?",
    prediction="They do.",
    design="Set to 0.",
    rule="Below the draws.",
    endpoint="balanced_acc",
    equivalent=0.05,
)


def results(networks, outside, of_all, classifiers=3, times=10):
    """Results of classifiers whose lesions and draws score as given; each draw so many times."""
    outside, of_all = outside * times, of_all * times
    scores, items, draws = [], [], []
    for seed in range(classifiers):
        for members, drawn in ((False, outside), (True, of_all)):
            key = {"job": f"{seed} {members}", "task": "classification_tweets", "metric": "balanced_acc"}
            scores.append(
                {
                    **key,
                    "override/decisive.classifier": seed,
                    "override/controls.members": members,
                    "neurons": 200,
                    "n": 100,
                    "chance": 0.5,
                    "baseline": 0.9,
                    "value": networks,
                }
            )
            number = np.arange(100)
            right = {"value": number < 100 * networks, "baseline": number < 90}
            weights = {"weight": 0.01, "baseline_weight": 0.01}
            items.append(pd.DataFrame({**key, "item": number, **right, **weights}))
            draws.append(pd.DataFrame({**key, "kind": "share", "draw": range(len(drawn)), "value": drawn}))
    return Jobs(pd.DataFrame(scores), pd.concat(items), pd.concat(draws))


@pytest.mark.parametrize(
    ("networks", "outside", "of_all", "said"),
    [
        (0.5, [0.88, 0.9], [0.87, 0.89], "The claim holds on a model, tweets"),
        (0.5, [0.88, 0.9], [0.5, 0.6], "do more harm only than a share that leaves out their members"),
        (0.5, [0.5, 0.9], [0.8, 0.9], "not shown to do more harm than a share without their members"),
        (0.88, [0.9, 0.9], [0.89, 0.9], "not shown to do more harm than the share, however it is drawn"),
    ],
)
def test_the_claim_is_about_both_ways_to_draw(networks, outside, of_all, said):
    table = share_table(CONFIG, results(networks, outside, of_all))
    verdict = share_verdict(CONFIG, table, "a model")
    assert said in verdict.outcome
    assert "false" not in verdict.outcome
    assert len(verdict.numbers) == 2
    assert len(share_readable(CONFIG, table)) == len(table) == 8


def test_a_lesion_that_is_not_shown_to_harm_does_not_do_more_harm():
    table = share_table(CONFIG, results(0.5, [0.88, 0.9], [0.87, 0.89])).assign(high=0.01)
    assert "not shown to do more harm" in share_verdict(CONFIG, table, "a model").outcome


def test_a_single_classifier_is_judged_by_itself():
    table = share_table(CONFIG, results(0.5, [0.9, 0.9], [0.9, 0.9], classifiers=1))
    assert table["models"].tolist() == [1, 1]
    assert share_verdict(CONFIG, table, "a model").outcome.startswith("The claim holds")


def test_few_draws_cannot_show_more_harm():
    table = share_table(CONFIG, results(0.5, [0.9] * 5, [0.9] * 5, times=1))
    assert "not shown to do more harm" in share_verdict(CONFIG, table, "a model").outcome


def test_the_interval_is_that_of_the_fall_of_the_score():
    (row, *_) = share_table(CONFIG, results(0.5, [0.9] * 5, [0.9] * 5, times=1)).to_dict("records")
    assert row["low"] < 0.5 - 0.9 < row["high"]
    assert row["excess"] == pytest.approx(0.4)
    assert row["p_harm"] == pytest.approx(1 / 6)


def test_without_results_there_is_no_verdict():
    jobs = results(0.5, [0.9], [0.9])
    with pytest.raises(NetworksError, match="no job"):
        share_table(CONFIG, Jobs(jobs.scores.assign(metric="acc"), jobs.items, jobs.draws))
    only = jobs.scores[jobs.scores["override/controls.members"]]
    table = share_table(CONFIG, Jobs(only, jobs.items, jobs.draws))
    assert share_verdict(CONFIG, table, "a model").outcome.startswith("Undecided")


def test_the_picture_has_a_panel_for_each_task():
    figure = share_figure(CONFIG, share_table(CONFIG, results(0.5, [0.8, 0.9], [0.7, 0.8])), "a model")
    assert [axes.get_title() for axes in figure.axes] == ["a model, tweets"]
