import pandas as pd

from fbn_exp.core.files import save_figures
from fbn_exp.report.figures.lesions import lesion_map, single_lesions
from fbn_exp.report.figures.sweep import consistency_figures, corpus_pairs, dose_response, score_figures

PAIRS = (("wiki", "wiki", 0.08), ("wiki", "math", 0.02), ("math", "wiki", 0.03), ("math", "math", 0.09))


def sweep(*pairs, signals=("paper",)):
    """Jobs, what else was swept, and corpora, of pairs of corpora under each kind of signals."""
    rows = [(*pair, kind) for kind in signals for pair in pairs]
    frame = pd.DataFrame(rows, columns=["templates", "texts", "consistency/count_rate", "signals"])
    jobs = frame[["consistency/count_rate"]].assign(**{"consistency/count_rate/chance": 0.001})
    return jobs, frame[["signals"]], frame[["templates", "texts"]]


def cells(axes):
    return {
        (round(each.get_position()[1]), round(each.get_position()[0])): each.get_text() for each in axes.texts
    }


def test_a_heat_map_puts_templates_on_rows_and_texts_on_columns():
    figure = corpus_pairs(*sweep(*PAIRS))
    found = cells(figure.axes[0])
    assert found[0, 1] == "2.0\n(0.1)"
    assert found[1, 0] == "3.0\n(0.1)"


def test_other_swept_settings_get_a_panel_each():
    figure = corpus_pairs(*sweep(*PAIRS, signals=("paper", "stable")))
    assert [axes.get_title() for axes in figure.axes[:2]] == ["signals=paper", "signals=stable"]


def test_templates_in_texts_of_their_own_corpus_are_a_diagonal(tmp_path):
    own = sweep(PAIRS[0], PAIRS[3])
    assert set(cells(corpus_pairs(*own).axes[0])) == {(0, 0), (1, 1)}
    assert save_figures(consistency_figures(*own), tmp_path, dpi=20)["consistency"].is_file()


def test_sweeps_of_other_kinds_have_no_heat_map():
    jobs, settings, corpora = sweep(*PAIRS)
    assert consistency_figures(jobs.drop(columns="consistency/count_rate"), settings, corpora) == {}
    assert consistency_figures(*sweep(PAIRS[0], PAIRS[0])) == {}
    failed = jobs.assign(**{"consistency/count_rate": [0.1, None, None, None]})
    assert consistency_figures(failed, settings, corpora) == {}


def test_harm_is_a_fall_of_accuracy_and_a_rise_of_a_loss():
    rows = [
        {
            "networks": str(network),
            "task": "tales",
            "metric": metric,
            "delta": delta,
            "higher_is_better": better,
        }
        for network in (2, 10)
        for metric, delta, better in (("acc", -0.5, True), ("nats", 3.0, False))
    ]
    accuracy, loss, *_ = lesion_map(pd.DataFrame(rows)).axes
    assert written(accuracy) == ["+0.50", "+0.50"]
    assert written(loss) == ["+3.00", "+3.00"]


def written(axes):
    """First line of each cell of a map of lesions, from top to bottom."""
    return [text.get_text() for text in axes.texts if text.get_text()]


def lesion(networks, delta, low, high):
    return {
        "networks": networks,
        "task": "tales",
        "metric": "nats",
        "intervention": "inhibit",
        "factor": 0.0,
        "delta": delta,
        "baseline": 2.0,
        "ci_low": delta - 0.5,
        "ci_high": delta + 0.25,
        "higher_is_better": False,
        "control_random": (low + high) / 2,
        "control_random_low": low,
        "control_random_high": high,
    }


def test_a_lesion_stands_beside_its_interval_and_controls_and_all_networks_come_last():
    rows = [lesion("all", 8.0, 2.0, 3.0), lesion("10", 1.0, 2.0, 4.0), lesion("2", 3.0, 2.0, 2.5)]
    figure = lesion_map(single_lesions(pd.DataFrame(rows)))
    axes, bar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "10", "all"]
    assert written(axes) == [
        *("+3.00", "+2.50 … +3.25\ncontrols +0.25"),
        *("+1.00", "+0.50 … +1.25\ncontrols +1.00"),
        *("+8.00", "+7.50 … +8.25\ncontrols +0.50"),
    ]
    # bold where no draw of a control does as much
    assert [text.get_weight() for text in axes.texts[::2]] == ["bold", "normal", "bold"]
    # the scale is that of single networks
    assert axes.images[0].get_clim() == (-3.0, 3.0)
    assert bar.get_ylabel() == "harm: nats"


def test_no_control_is_named_where_there_is_none_and_a_measure_that_nothing_changes_has_no_panel():
    unchanged = lesion("2", 0.0, 2.0, 2.0) | {"metric": "undecided"}
    with_controls = lesion_map(pd.DataFrame([lesion("2", 3.0, 2.0, 2.5), unchanged]))
    assert "controls" in with_controls.get_suptitle()
    assert [axes.get_ylabel() for axes in with_controls.axes[1:]] == ["harm: nats"]
    rows = pd.DataFrame([lesion("2", 3.0, 2.0, 2.5)])
    alone = lesion_map(rows[[name for name in rows if not name.startswith("control")]])
    assert "controls" not in alone.get_suptitle()
    assert len(lesion_map(pd.DataFrame([unchanged])).axes) == 2


def dose(factor, energy, value, **more):
    row = {
        "networks": "all",
        "task": "tales",
        "metric": "nats",
        "factor": factor,
        "value": value,
        "baseline": 1.0,
        "chance": None,
    }
    row |= {
        "ci_low": value - 1.5,
        "ci_high": value - 0.5,
        "control_random_low": 1.0,
        "control_random_high": 2.0,
    }
    return row | {"energy": energy, "control_random_energy": 2 * energy} | more


def drawn_lines(figure):
    """Places of the points of each line with a label, and of the band of random controls."""
    (axes,) = figure.axes
    handles, labels = axes.get_legend_handles_labels()
    lines = {
        label: handle[0].get_xdata().tolist()
        for handle, label in zip(handles, labels, strict=True)
        if hasattr(handle, "__getitem__")
    }
    bands = {
        label: sorted({point[0] for point in handle.get_paths()[0].vertices})
        for handle, label in zip(handles, labels, strict=True)
        if hasattr(handle, "get_paths")
    }
    return lines, bands, axes


def test_doses_are_energies_and_controls_have_their_own():
    rows = pd.DataFrame([dose(0.0, 100.0, 4.0), dose(0.5, 25.0, 2.0)])
    lines, bands, axes = drawn_lines(dose_response(rows))
    assert lines == {"networks": [25.0, 100.0]}
    assert bands["random controls"] == [50.0, 200.0]
    assert (axes.get_xscale(), axes.get_xlim()[0]) == ("linear", 0)


def test_energies_that_differ_tenfold_have_a_logarithmic_axis():
    rows = pd.DataFrame([dose(0.0, 100.0, 4.0), dose(0.9, 1.0, 2.0)])
    _, _, axes = drawn_lines(dose_response(rows))
    assert axes.get_xscale() == "log"


def test_doses_are_factors_where_energies_are_unknown_or_ambiguous():
    known = pd.DataFrame([dose(0.0, 100.0, 4.0), dose(0.5, 25.0, 2.0)])
    both_sides = pd.DataFrame([dose(0.5, 25.0, 4.0), dose(1.5, 25.0, 2.0)])
    for rows in (known.drop(columns="energy"), known.assign(energy=None), both_sides):
        lines, bands, axes = drawn_lines(dose_response(rows))
        assert lines == {"networks": rows["factor"].tolist()}
        assert bands["random controls"] == rows["factor"].tolist()
        assert axes.get_xscale() == "linear"


def test_doses_of_several_tasks_and_networks_are_one_grid_with_factor_1_marked():
    rows = [
        dose(factor, float("nan"), 2.0, task=task, networks=networks)
        for task in ("tales", "songs")
        for networks in ("all", "3")
        for factor in (0.0, 2.0)
    ]
    figure = dose_response(pd.DataFrame(rows))
    assert [axes.get_title() for axes in figure.axes] == ["network 3", "all networks", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["tales\nnats", "", "songs\nnats", ""]
    for axes in figure.axes:
        assert [1, 1] in [list(line.get_xdata()) for line in axes.lines]


def test_other_swept_settings_are_lines_of_their_own():
    fill = "override/intervention.fill"
    rows = [
        dose(factor, 100 * (1 - factor) ** 2, 4.0, **{fill: name})
        for name in ("zero", "mean")
        for factor in (0.0, 0.5)
    ]
    lines, bands, _ = drawn_lines(dose_response(pd.DataFrame(rows)))
    assert lines == {"zero": [25.0, 100.0], "mean": [25.0, 100.0]}
    assert bands == {}


def test_all_networks_of_a_single_task_are_drawn():
    rows = [
        {**dose(factor, 100.0, 4.0), "networks": str(each)} for each in range(11) for factor in (0.0, 0.5)
    ]
    figure = dose_response(pd.DataFrame(rows))
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == [f"network {each}" for each in range(11)]


def test_networks_of_two_methods_are_never_averaged_in_one_map():
    rows = [
        {**lesion(network, delta, 2.0, 3.0), "factor": 0.0, "override/method": method}
        for method, deltas in (("ica", (1.0, 3.0)), ("pca", (2.0, 5.0)))
        for network, delta in zip(("0", "1"), deltas, strict=True)
    ]
    drawn = score_figures(pd.DataFrame(rows))
    assert list(drawn) == ["lesion_map_ica", "lesion_map_pca"]
    second = drawn["lesion_map_pca"]()
    assert written(second.axes[0])[::2] == ["+2.00", "+5.00"]
    assert second.get_suptitle().startswith("method=pca\n")
    # a method with one network needs no map
    assert list(score_figures(pd.DataFrame(rows[:3]))) == ["lesion_map_ica"]
