"""Training and what it changed, in numbers and words."""

import pandas as pd
import pytest

from fbn_exp.benchmarks.comparison import BeforeAfter, compare
from fbn_exp.benchmarks.score import Score
from fbn_exp.report.training import Training, forgetting_table, present_forgetting, present_training


def score(task, value, higher=True, chance=None):
    return Score(task, "acc" if higher else "nats", value, 0.1, 4, higher, chance=chance)


CHANGED = BeforeAfter(
    trained=compare([score("tweets", 0.9, chance=0.5)], [score("tweets", 0.6)], {}),
    others=compare([score("wiki", 3.5, higher=False)], [score("wiki", 3.0, higher=False)], {}),
)


def training(**more):
    history = pd.DataFrame({"step": [0, 4], "loss": [None, 1.0], "dev_nats": [2.0, 1.5]})
    numbers = {"n_parameters": 1_000, "n_trained": 10, "n_neurons": None, "n_texts": 7, "n_steps": 4}
    rest = {"best_step": None, "seconds": 1.0, "history": history, "loss": "nats", "chance": None}
    return Training("inside", **{**numbers, **rest, "lesioned": [], **more})


def test_numbers_that_do_not_apply_are_missing():
    plain = present_training(training()).metrics
    assert (plain["parameters"], plain["parameters/trainable"], plain["best_step"]) == (1_000, 10, 0)
    assert "neurons" not in plain
    lesioned = present_training(training(lesioned=[score("tweets", 0.4)])).metrics
    assert lesioned["lesioned/tweets/acc"] == 0.4


def test_the_loss_is_drawn_over_updates():
    (axes,) = present_training(training()).figures["training"]().axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0], [2.0, 1.5]]


def test_the_table_tells_what_was_trained_from_what_may_be_forgotten():
    table = forgetting_table(CHANGED, training())
    assert table["role"].tolist() == ["trained", "other"]
    assert table["higher_is_better"].tolist() == [True, False]
    assert table["delta"].tolist() == pytest.approx([0.3, 0.5])
    assert set(table["trainable"]) == {"inside"}


def test_words_and_numbers_say_the_same():
    found = present_forgetting(CHANGED, training())
    assert found.metrics["delta/wiki/nats"] == 0.5
    assert found.rows["task / metric"].tolist() == ["tweets/acc (trained)", "wiki/nats"]
    assert found.rows["difference"].tolist() == ["+0.3", "+0.5"]
    assert found.rows["chance"].tolist() == ["0.5", "–"]
