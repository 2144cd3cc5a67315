"""Curves over the share that is pruned: a line for every setting, a figure for every language model."""

import pandas as pd
import pytest

from fbn_exp.report.pruning.figures import curves_figure, pruning_figures
from fbn_exp.report.pruning.words import present_ratios

BASE = {
    **{"model": "pruned", "form": "smaller", "spared": 0, "bias": False, "parameters": 100, "p_value": 0.1},
    **{"before": 2.0, "ci_low": 0.0, "ci_high": 0.4, "n": 8, "higher_is_better": False},
}
TASKS = (("perplexity_wiki", "nats_per_token", None), ("fbn_recall", "acc", 0.25), ("fbn_code", "acc", 0.5))


def sweep_of(**overrides):
    """Table of a sweep over ratios, criteria and one more setting."""
    ((name, values),) = overrides.items()
    rows, job = [], 0
    for number, value in enumerate(values):
        for criterion in ("networks", "random"):
            for ratio in (0.1, 0.5):
                after = 2 + ratio + 3 * number
                rows += [
                    {**BASE, "job": str(job), f"override/{name.replace('__', '.')}": value}
                    | {"override/prune.ratio": ratio, "criterion": criterion, "ratio": ratio}
                    | {"task": task, "metric": metric, "after": after, "delta": after - 2, "chance": chance}
                    for task, metric, chance in TASKS
                ]
                job += 1
    return pd.DataFrame(rows)


def lines_of(figure):
    return {
        line.get_label(): list(line.get_ydata())
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 3
    }


def test_jobs_of_other_settings_are_not_averaged():
    lines = lines_of(curves_figure(sweep_of(method__n_components=(32, 128))))
    assert lines["networks method.n_components=32"] == pytest.approx([2, 2.1, 2.5])
    assert lines["networks method.n_components=128"] == pytest.approx([2, 5.1, 5.5])
    assert len(lines) == 4


def test_seeds_share_a_line_through_their_means():
    lines = lines_of(curves_figure(sweep_of(prune__seed=(0, 1))))
    assert lines["random"] == pytest.approx([2, 3.6, 4.0])
    assert set(lines) == {"networks", "random"}


def test_every_language_model_has_a_figure_of_its_own():
    drawings = pruning_figures(sweep_of(model=("smollm2", "some/other")))
    assert set(drawings) == {"pruning_smollm2", "pruning_some-other"}
    assert lines_of(drawings["pruning_some-other"]())["random"] == pytest.approx([2, 5.1, 5.5])
    assert set(pruning_figures(sweep_of(model=("smollm2",)))) == {"pruning"}


def test_the_table_of_a_sweep_names_what_its_jobs_differ_in():
    rows = present_ratios(sweep_of(model=("smollm2", "gemma3-270m"))).rows
    assert rows["settings"].tolist() == ["model=smollm2"] * 4 + ["model=gemma3-270m"] * 4
    # the state of the weights, pruned or recovered
    assert set(rows["model"]) == {"pruned"}
    assert "settings" not in present_ratios(sweep_of(model=("smollm2",))).rows
