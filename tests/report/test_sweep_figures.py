import pandas as pd

from fbn_exp.report.figures.sweep import corpus_pairs, draw_measures


def jobs(*rows, **more):
    names = ("override/dataset", "override/dataset@analysis.dataset", "consistency/count_rate")
    frame = pd.DataFrame(rows, columns=names).assign(**{"override/benchmark": "consistency", **more})
    return frame.assign(**{"consistency/count_rate/chance": 0.001})


PAIRS = (("wiki", "wiki", 0.08), ("wiki", "math", 0.02), ("math", "wiki", 0.03), ("math", "math", 0.09))


def cells(axes):
    return {
        (round(each.get_position()[1]), round(each.get_position()[0])): each.get_text() for each in axes.texts
    }


def test_a_heat_map_puts_templates_on_rows_and_texts_on_columns():
    figure = corpus_pairs(jobs(*PAIRS))
    found = cells(figure.axes[0])
    assert found[0, 1] == "2.0\n(0.1)"
    assert found[1, 0] == "3.0\n(0.1)"


def test_other_swept_settings_get_a_panel_each():
    frame = pd.concat([jobs(*PAIRS, **{"override/signals": name}) for name in ("paper", "stable")])
    figure = corpus_pairs(frame.reset_index(drop=True))
    assert [axes.get_title() for axes in figure.axes[:2]] == ["signals=paper", "signals=stable"]


def test_templates_are_looked_for_in_their_own_corpus_where_nothing_else_was_said(tmp_path):
    frame = jobs(*PAIRS).iloc[[0, 3]].drop(columns="override/dataset@analysis.dataset")
    figure = corpus_pairs(frame)
    assert set(cells(figure.axes[0])) == {(0, 0), (1, 1)}
    assert draw_measures(frame, tmp_path)["consistency"].is_file()


def test_sweeps_of_other_kinds_have_no_heat_map(tmp_path):
    assert draw_measures(jobs(*PAIRS).drop(columns="consistency/count_rate"), tmp_path) == {}
    assert draw_measures(jobs(*PAIRS).drop(columns=list(jobs(*PAIRS).columns[:2])), tmp_path) == {}
    assert draw_measures(jobs(PAIRS[0], PAIRS[0]), tmp_path) == {}
