"""The picture of one evaluation: what stands where."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.score import Score
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.figures.draws import MOST_PANELS, draws_figure


def score_of(value, task="tales", chance=None):
    return Score(task, "acc", value, 0.02, 50, True, chance=chance)


def compared(n_draws=20, tasks=("tales",), value=0.4, chance=None):
    rng = np.random.default_rng(0)
    drawn = {
        kind: [[score_of(each, task) for task in tasks] for each in rng.normal(0.7, 0.02, n_draws)]
        for kind in (ControlKind.random, ControlKind.per_block)
    }
    scores = [score_of(value, task, chance) for task in tasks]
    return compare(scores, [score_of(0.9, task) for task in tasks], drawn)


def words(figure: Figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("n_draws", [1, 5, 40])
def test_lines_are_the_scores_and_each_kind_has_its_p(n_draws):
    figure = draws_figure(compared(n_draws, chance=0.5), "scale by 0")
    (axes,) = figure.axes
    upright = [line.get_xdata()[0] for line in axes.lines if line.get_xdata()[0] == line.get_xdata()[-1]]
    assert {0.4, 0.9, 0.5} <= {float(each) for each in upright}
    assert (
        words(figure)
        == {
            1: ["1", "1", "p"],
            5: [".17", ".17", "p"],
            40: ["↓.02", "↓.02", "p"],
        }[n_draws]
    )
    drawn = [len(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert drawn == [n_draws, n_draws]


def test_a_reference_is_a_marker_without_p():
    references = [kind for kind in ControlKind if kind.is_reference]
    (first,) = compared()
    first.controls[references[0]] = [score_of(0.5)]
    figure = draws_figure([first], "t")
    assert [line.get_marker() for line in figure.axes[0].lines].count("D") == 1
    assert words(figure) == ["↓.05", "↓.05", "p"]


def test_scores_that_are_no_numbers_leave_the_rest_of_the_picture(tmp_path):
    draws_figure(compared(value=float("nan")), "t").savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_of_very_many_results_the_first_are_drawn_and_the_others_named():
    figure = draws_figure(compared(tasks=tuple(map(str, range(20))), n_draws=2), "t")
    assert sum(axes.get_visible() for axes in figure.axes) == MOST_PANELS
    assert "8 more" in figure.get_suptitle()
