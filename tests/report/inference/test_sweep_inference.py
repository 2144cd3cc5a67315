"""P values over a sweep: which correction is used, and what it gives."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.sweep import corrected, present_scores
from fbn_exp.report.inference.tables import draw_table, item_table
from fbn_exp.report.scores import comparison_row


def job(name, shift, rng, n_draws=99, task="tales"):
    """Tables of a job: 40 items, whose scores the networks shift."""

    def score(items):
        return [mean_score(task, "nats", items, higher_is_better=False)]

    items = rng.normal(3, 1, 40)
    draws = [score(items + rng.normal(0, 0.1) + rng.normal(0, 0.3, 40)) for _ in range(n_draws)]
    found = compare(score(items + shift + rng.normal(0, 0.3, 40)), score(items), {ControlKind.random: draws})
    head = {"job": name, "override/intervention.networks": name, "intervention": "inhibit"}
    rows = pd.DataFrame([head | comparison_row(each) for each in found])
    return rows, item_table(found).assign(job=name), draw_table(found).assign(job=name)


def sweep(*shifts, **more):
    rng = np.random.default_rng(0)
    parts = [job(str(place), shift, rng, **more) for place, shift in enumerate(shifts)]
    return [pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)]


def test_with_items_and_draws_at_hand_ten_results_can_be_shown():
    table = corrected(*sweep(2.0, *[0.0] * 9))
    assert table["correction"].unique().tolist() == ["max-T"]
    assert table["correction_random"].unique().tolist() == ["max-T"]
    assert table["p_corrected"].iloc[0] == pytest.approx(1e-4)
    assert table["p_corrected_random"].iloc[0] == 0.01
    assert (table["p_corrected"].iloc[1:] >= table["p_value"].iloc[1:] - 0.02).all()
    assert table["p_corrected_random"].iloc[1:].min() > 0.05


def test_without_values_holm_corrects_what_single_jobs_found():
    scores, _, _ = sweep(2.0, *[0.0] * 9)
    table = corrected(scores, pd.DataFrame(), pd.DataFrame())
    assert table["correction"].unique().tolist() == table["correction_random"].unique().tolist() == ["Holm"]
    assert table["p_corrected_random"].iloc[0] == pytest.approx(0.1)
    lines = present_scores(table).lines
    assert "by Holm for untouched, random" in lines[0]
    assert lines[1] == "With so few draws of random, p cannot be below .10 after correction."


def test_other_numbers_of_draws_are_corrected_by_holm():
    scores, items, draws = sweep(2.0, 0.0)
    fewer = draws[(draws["job"] == "0") | (draws["draw"] < 50)]
    table = corrected(scores, items, fewer)
    assert set(table["correction"]) == {"max-T"}
    assert set(table["correction_random"]) == {"Holm"}


def test_tasks_have_items_of_their_own():
    rng = np.random.default_rng(0)
    parts = [job("0", 2.0, rng), job("1", 2.0, rng, task="other")]
    table = corrected(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))
    assert (table["p_corrected"] < 0.001).all()


def test_an_untouched_model_is_no_test_and_sweeps_without_scores_stay_empty():
    scores, items, draws = sweep(2.0, 0.0)
    scores.loc[1, "intervention"] = "none"
    table = corrected(scores, items, draws)
    assert table["p_corrected"].isna().tolist() == [False, True]
    assert corrected(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()).empty


def test_the_console_has_a_line_per_result_and_says_how_many_are_left_out():
    shown = present_scores(corrected(*sweep(*[0.0] * 3, n_draws=5)))
    assert shown.title == "Sweep on tales: p corrected for all 3 results"
    assert list(shown.rows) == ["job", "networks", "metric", "value", "difference", "p", "p\nrandom"]
    assert shown.rows["metric"].tolist() == ["nats"] * 3
    assert shown.lines[-1] == "With so few draws of random, p cannot be below .17 after correction."
    many = present_scores(corrected(*sweep(*[0.0] * 25, n_draws=2)))
    assert len(many.rows) == 20
    assert many.lines[0] == "… and 5 more results in sweep/scores.csv."


def test_rows_of_several_tasks_name_the_task():
    rng = np.random.default_rng(0)
    parts = [job("0", 0.0, rng, n_draws=2), job("1", 0.0, rng, n_draws=2, task="other")]
    shown = present_scores(
        corrected(*(pd.concat(each, ignore_index=True) for each in zip(*parts, strict=True)))
    )
    assert shown.title == "Sweep: p corrected for all 2 results"
    assert shown.rows["task / metric"].tolist() == ["tales/nats", "other/nats"]


def test_kinds_with_equally_few_draws_share_a_sentence():
    scores, items, draws = sweep(2.0, 0.0, n_draws=2)
    for kind, n_draws in (("energy", 2), ("rotation", 5)):
        scores = scores.assign(**{f"p_{kind}": scores["p_random"], f"draws_{kind}": n_draws})
    # Holm for kinds without their draws: 1 / 3 and 1 / 6 times two results
    lines = present_scores(corrected(scores, items, draws)).lines
    assert lines[1:] == [
        "With so few draws of random, rotation, p cannot be below .33 after correction.",
        "With so few draws of energy, p cannot be below .67 after correction.",
    ]
