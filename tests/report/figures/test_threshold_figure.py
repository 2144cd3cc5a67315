import pandas as pd
import pytest
from planted import plant

from fbn_exp.report.figures.threshold import threshold_effect, threshold_figures
from fbn_exp.report.networks import mask_metrics
from fbn_exp.thresholds.z import ZThreshold

VALUES = (1.0, 2.0, 3.0)


@pytest.fixture(scope="module")
def jobs():
    _, maps = plant(n_tokens=10, n_neurons=400, n_networks=5, noise=0.0)
    rows = [
        {"job": str(job), "threshold": value, **mask_metrics(ZThreshold(value).masks(maps))}
        for job, value in enumerate(VALUES)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def scores():
    rows = [
        {
            "job": str(job),
            "threshold": value,
            "networks": networks,
            "task": "perplexity",
            "metric": "nats_per_token",
            "baseline": 3.0,
            "delta": 4 / value,
            "ci_low": 3 / value,
            "ci_high": 5 / value,
            **{f"control_{kind}_low": 3.1 for kind in ("random", "per_block", "activation")},
            **{f"control_{kind}_high": 3.3 for kind in ("random", "per_block", "activation")},
        }
        for job, value in enumerate(VALUES)
        for networks in ("all", "2")
    ]
    return pd.DataFrame(rows)


def test_a_higher_threshold_gives_smaller_networks_in_the_picture(jobs, scores):
    figure = threshold_effect(jobs, scores, "threshold.value")
    sizes, overlap, lesions = figure.axes
    for line in sizes.lines:
        assert list(line.get_xdata()) == list(VALUES)
        assert (pd.Series(line.get_ydata()).diff().dropna() < 0).all()
    assert len(overlap.lines) == 2
    drawn = [list(container.lines[0].get_ydata()) for container in lesions.containers]
    assert drawn == [[4 / value for value in VALUES]] * 2


def test_controls_are_shown_beside_a_single_choice_of_networks(jobs, scores):
    figure = threshold_effect(jobs, scores[scores["networks"] == "all"], "threshold.value")
    assert len(figure.axes[2].collections) == 1 + 3  # error bars, and a band for each kind


def test_only_sweeps_over_a_threshold_have_the_picture(jobs, scores):
    jobs, scores = jobs.drop(columns="threshold"), scores.drop(columns="threshold")
    settings = pd.DataFrame({"threshold.value": [str(value) for value in VALUES], "seed": "0"})
    for scored in (scores, pd.DataFrame()):
        (draw,) = threshold_figures(jobs, settings, scored).values()
        sizes = draw().axes[0].lines[0]
        assert list(sizes.get_xdata()) == list(VALUES)
    assert threshold_figures(jobs.iloc[:1], settings.iloc[:1], scores) == {}
    assert threshold_figures(jobs, settings[["seed"]], scores) == {}
    unfinished = jobs.assign(**{"networks/mean_size": [3.0, None, None]})
    assert threshold_figures(unfinished, settings, scores) == {}
