import pandas as pd
import pytest

from fbn_exp.core.files import save_figures
from fbn_exp.report.console import show
from fbn_exp.report.figures.forgetting import before_and_after, forgetting_figures, headlines
from fbn_exp.report.training import present_sweep

CHOICES = ["all", "inside", "inside activation control", "outside"]
TASKS = [
    ("other", "perplexity_wiki", "nats_per_token", False),
    ("other", "perplexity_wiki", "bits_per_byte", False),
    ("trained", "classification_tweets", "acc", True),
]


def row(job, choice, role, task, metric, higher):
    before, delta = (0.4, 0.1 * (job + 1)) if higher else (3.0, 0.2 * (job + 1))
    return {
        "job": str(job),
        "trainable": choice,
        "trained_parameters": 1000 * (job + 1),
        "role": role,
        "task": task,
        "metric": metric,
        "before": before,
        "after": before + delta,
        "delta": delta,
        "ci_low": delta - 0.05,
        "ci_high": delta + 0.07,
        "chance": 0.35 if higher else None,
        "higher_is_better": higher,
    }


@pytest.fixture
def forgetting():
    return pd.DataFrame([row(job, choice, *task) for job, choice in enumerate(CHOICES) for task in TASKS])


def test_each_choice_is_drawn_from_before_to_after_with_the_interval_of_the_change(forgetting):
    figure = before_and_after(forgetting)
    accuracy, loss = figure.axes
    assert accuracy.get_title() == "classification_tweets\nacc (trained)"
    assert loss.get_title() == "perplexity_wiki\nnats per token"
    assert [each.get_text() for each in accuracy.get_yticklabels()] == CHOICES
    for axes, before, step in ((accuracy, 0.4, 0.1), (loss, 3.0, 0.2)):
        for place, container in enumerate(axes.containers):
            point, _, (bar,) = container.lines
            after = before + step * (place + 1)
            assert point.get_xydata()[0] == pytest.approx([after, place])
            (segment,) = bar.get_segments()
            assert segment[:, 0] == pytest.approx([after - 0.05, after + 0.07])
    # one line over all, since all start from the same model
    ends = len(CHOICES) - 0.5
    assert vertical_lines(accuracy) == [[(x, -0.5, ends)] * len(CHOICES) for x in (0.4, 0.35)]


def vertical_lines(axes):
    """Place and ends of the lines before training, and at chance."""
    drawn = [each for each in axes.collections if each.get_linewidth()[0] == 0.8]
    return [[(s[0, 0], s[0, 1], s[1, 1]) for s in each.get_segments()] for each in drawn]


def test_what_was_scored_before_stands_in_the_row_of_its_model_where_models_differ(forgetting):
    forgetting.loc[forgetting["job"] == "1", "before"] += 0.1
    before, chance = vertical_lines(before_and_after(forgetting).axes[0])
    assert before[:2] == [pytest.approx((0.4, -0.45, 0.45)), pytest.approx((0.5, 0.55, 1.45))]
    assert {x for x, _, _ in chance} == {0.35}


def test_jobs_that_train_the_same_choice_are_told_apart(forgetting):
    forgetting.loc[forgetting["job"] == "3", "trainable"] = "all"
    (_, rows), _ = headlines(forgetting)
    assert rows["choice"].tolist() == ["all (job 0)", *CHOICES[1:3], "all (job 3)"]


def test_only_sweeps_of_training_have_the_picture(forgetting, tmp_path):
    assert save_figures(forgetting_figures(forgetting), tmp_path, dpi=20)["forgetting"].is_file()
    assert save_figures(forgetting_figures(pd.DataFrame()), tmp_path / "none", dpi=20) == {}
    assert not (tmp_path / "none").exists()


def test_the_console_shows_a_line_per_choice(forgetting, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    show(present_sweep(forgetting))
    shown = capsys.readouterr()
    text = shown.out + shown.err
    lines = {choice: next(line for line in text.splitlines() if f" {choice} " in line) for choice in CHOICES}
    assert "4,000" in lines["outside"]
    assert "0.8" in lines["outside"]
    assert "(+0.35 … +0.47)" in text
