"""Paper tables from hand-made sweeps: what counts as harm, gain, and beyond controls."""

import re

import numpy as np
import pandas as pd
import pytest

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.published import CAPTIONS, LESION, PUBLISHED
from fbn_exp.experiments.paper.tables import markdown, number, readable_table, results_table
from fbn_exp.experiments.paper.write import TITLES, write_paper
from fbn_exp.interventions.config import ControlKind

KINDS = ("random", "per_block", "activation")


def score(task="grammar", metric="acc", delta=-0.3, half=0.1, controls=0.8, baseline=0.9, rank=0.0, **more):
    """One line as a sweep's table of scores has it, of 19 draws; ``more`` changes cells."""
    row = {
        "job": 0,
        "intervention": "inhibit",
        "factor": 0.0,
        "networks": "all",
        "neurons": 12,
        "task": task,
        "metric": metric,
        "value": baseline + delta,
        "baseline": baseline,
        "delta": delta,
        "ci_low": delta - half,
        "ci_high": delta + half,
        "p_value": 0.01,
        "detectable": 0.15,
        "activity_ratio": 0.8,
        "n": 100,
        "chance": 0.5,
        "higher_is_better": metric == "acc",
    }
    for kind in KINDS:
        row |= {f"control_{kind}{side}": controls for side in ("", "_low", "_high")}
        row |= {f"rank_{kind}": rank, f"draws_{kind}": 19, f"detectable_{kind}": 0.2}
        row |= {f"p_harm_{kind}": (1 + 19 * rank) / 20, f"p_gain_{kind}": (1 + 19 * (1 - rank)) / 20}
    return row | more


def found(*rows, kind=PaperTable.lesion):
    return results_table(kind, pd.DataFrame(), pd.DataFrame(list(rows)), {})


def narrow(text):
    """Text without the spaces that fill the cells of a table up."""
    return re.sub(" +", " ", text)


def test_factor_one_has_no_interval_since_it_changes_nothing():
    same, more = score(delta=0.0, factor=1.0), score(delta=0.05, factor=1.1)
    table = found(same, more, kind=PaperTable.amplification)
    assert table[["low", "high"]].iloc[0].tolist() == [0.9, 0.9]
    assert np.isnan(table["detectable"].iloc[0])
    assert table[["low", "high", "detectable"]].iloc[1].tolist() == pytest.approx([0.85, 1.05, 0.15])


def test_a_clear_loss_below_every_control_is_harm_and_a_clear_gain_is_not():
    table = found(score(), score(delta=0.3, rank=1.0))
    assert table["harms"].tolist() == [True, False]
    assert table["helps"].tolist() == [False, True]
    assert table["below_controls"].tolist() == [True, False]
    assert table["above_controls"].tolist() == [False, True]
    np.testing.assert_allclose(table["low"], [0.5, 1.1])
    np.testing.assert_allclose(table["high"], [0.7, 1.3])


def test_a_rise_of_a_loss_is_harm():
    assert found(score(metric="nats_per_token", delta=3.0))["harms"].tolist() == [True]


def test_an_interval_that_holds_zero_or_cannot_be_told_is_neither_harm_nor_gain():
    table = found(score(half=0.4), score(half=float("nan")))
    assert not table[["harms", "helps"]].to_numpy().any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_control_that_does_as_much_harm_is_enough_not_to_be_beyond_controls(kind):
    assert not found(score(**{f"p_harm_{kind}": 0.1}))["below_controls"].any()
    assert not found(score(**{f"p_harm_{kind}": np.nan}))["below_controls"].any()


def test_few_draws_show_nothing_and_the_table_says_so():
    few = {f"{name}_{kind}": value for kind in KINDS for name, value in (("draws", 5), ("p_harm", 1 / 6))}
    table = found(score(**few))
    assert not table["below_controls"].any()
    assert readable_table(PaperTable.lesion, table)["harm beyond controls"].tolist() == ["too few draws"]
    assert readable_table(PaperTable.lesion, found(score()))["harm beyond controls"].tolist() == ["yes"]


def test_the_largest_p_of_all_kinds_counts_and_so_does_what_could_have_been_told_from_all():
    table = found(score(p_harm_random=0.3, p_gain_activation=0.8, detectable_random=0.4, draws_random=9))
    assert table[["p_worse", "p_better", "detectable_beside", "draws"]].iloc[0].tolist() == [0.3, 1, 0.4, 9]


def test_the_energy_of_other_neurons_stands_beside_their_harm():
    sizes = {"energy": 200.0, "control_random_energy": 0.1, "control_activation_energy": 30.0}
    table = readable_table(PaperTable.lesion, found(score(**sizes)))
    assert table["energy of others"].tolist() == ["0.05% … 15%"]
    assert "energy of others" not in readable_table(PaperTable.lesion, found(score()))


def test_without_controls_nothing_is_beyond_them():
    missing = {
        f"{name}_{kind}": None for kind in KINDS for name in ("p_harm", "p_gain", "draws", "detectable")
    }
    table = found(score(rank=float("nan"), controls=float("nan"), **missing))
    assert not table[["below_controls", "above_controls"]].to_numpy().any()


def test_a_control_that_was_not_drawn_is_empty_and_has_no_column_to_read():
    table = found(score())
    assert table["control_share"].isna().all()
    assert "share at random" not in readable_table(PaperTable.lesion, table)
    assert "random" in readable_table(PaperTable.lesion, table)


def test_metrics_that_no_reader_looks_at_are_left_out():
    assert found(score(), score(metric="undecided"))["metric"].tolist() == ["acc"]


def test_counts_of_templates_are_read_from_the_tables_of_the_jobs():
    job = {
        "job": 3,
        "override/dataset": "news",
        "consistency/count_total": 30.0,
        "consistency/individual_networks": 100.0,
        "consistency/count_total/chance_masks": 1.0,
        "consistency/count_total/chance_shift": 2.5,
        "consistency/count_total/chance_rotations": 28.0,
        "consistency/count_total/p_value": 0.01,
        "consistency/above_chance": 2.0,
        "consistency/recurring": 20.0,
    }
    failed = dict.fromkeys(job, float("nan")) | {"job": 4, "override/dataset": "math"}
    jobs, templates = pd.DataFrame([job, failed]), {"3": pd.DataFrame({"count": [25.0, 5.0]})}
    (row,) = results_table(PaperTable.consistency, jobs, pd.DataFrame(), templates).to_dict("records")
    assert (row["corpus"], row["templates"], row["matches"], row["counts"]) == ("news", 2, 30, "25 5")
    assert row["chance_rotations"] == 28
    assert np.isnan(row["chance_degrees"])  # a sweep of an earlier version
    assert (row["smallest"], row["largest"], row["individual"]) == (5, 25, 100)


@pytest.mark.parametrize("kind", [each for each in PaperTable if each is not PaperTable.consistency])
def test_table_text_and_picture_are_written_with_the_papers_figures_beside(kind, tmp_path):
    rows = [score(), score(task="recall", networks="1", neurons=3), score(metric="nats_per_token", delta=2.0)]
    scores = pd.DataFrame(rows).assign(**{"override/method.n_components": 10})
    jobs = pd.DataFrame([{"job": 0, "error": ""}])
    tables, figures = write_paper(kind, tmp_path, jobs, scores)
    assert len(tables["paper"]) == 3
    assert figures[f"paper_{kind.value}"].stat().st_size > 10_000
    text = (tmp_path / "sweep" / "paper.md").read_text()
    assert text.startswith(TITLES[kind])
    assert CAPTIONS[kind] in text
    if kind is PaperTable.lesion:
        assert "| AGNews | 0.8614 | 0.8487 | 0.5557 |" in narrow(text)
    assert pd.read_csv(tmp_path / "sweep" / "paper.csv")["untouched"].tolist() == [0.9, 0.9, 0.9]


def test_a_sweep_without_a_result_writes_nothing(tmp_path):
    for kind in PaperTable:
        assert write_paper(kind, tmp_path, pd.DataFrame([{"job": 0}]), pd.DataFrame()) == ({}, {})
    assert not list(tmp_path.iterdir())


def test_every_experiment_has_a_title_and_a_word_on_what_the_paper_gives():
    assert set(TITLES) == set(CAPTIONS) == set(PaperTable)
    assert set(PUBLISHED) < set(PaperTable)


def test_in_the_paper_networks_always_cost_more_than_random_neurons():
    assert (LESION["networks set to 0"] < LESION["random 15%"]).all()


def test_texts_of_each_network_stand_side_by_side(tmp_path):
    for job, written in enumerate(["one | two", "three"]):
        folder = tmp_path / str(job) / "tables"
        folder.mkdir(parents=True)
        texts = {"untouched": ["fine\nhere"], "intervened": [written], "share control": ["hm"]}
        pd.DataFrame(texts).to_csv(folder / "texts.csv", index=False)
    jobs = pd.DataFrame({"job": [0, 1]})
    scores = pd.DataFrame([score(metric="repetition", job=job, networks=str(job)) for job in (0, 1)])
    write_paper(PaperTable.generation, tmp_path, jobs, scores)
    text = narrow((tmp_path / "sweep" / "paper.md").read_text())
    for line in (
        "| untouched | fine here |",
        "| share of all at random | hm |",
        "| network 0 set to 0 | one \\| two |",
        "| network 1 set to 0 | three |",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.12345, "0.123"), (12.345, "12.3"), (float("nan"), "–"), (-0.5, "-0.500"), (-1e-17, "0.000")],
)
def test_numbers_have_the_digits_that_are_read(value, said):
    assert number(value) == said


def test_columns_of_numbers_stand_to_the_right():
    table = pd.DataFrame({"name": ["a"], "count": [1], "range": ["0.1 … 0.2"]})
    assert markdown(table).splitlines()[1] == "|:-------|--------:|----------:|"


def test_a_bar_in_a_cell_or_at_the_head_of_a_column_starts_no_other_column():
    lines = markdown(pd.DataFrame({"half |r| (chance)": ["|a|\v|"], "count": [1]})).splitlines()
    assert re.sub(" +", " ", lines[0]) == r"| half \|r\| (chance) | count |"
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [3, 3, 3]


def test_all_kinds_of_control_have_a_column():
    assert {f"control_{kind.value}_low" for kind in ControlKind} <= set(found(score()))
