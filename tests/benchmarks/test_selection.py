"""Factors are chosen on dev items, for the networks and for every control by what is best for it."""

import pytest
import torch
from neuron_statistics import same_everywhere

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.score import Score
from fbn_exp.benchmarks.selection import evaluate_selected
from fbn_exp.benchmarks.sizes import SizeMeasure
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.control import Control
from fbn_exp.interventions.rules import Scale
from fbn_exp.interventions.sample.activations import EditSize
from fbn_exp.interventions.target import OUTSIDE, Target

FACTORS = [0.5, 1.0, 2.0]
# best factor of each neuron on dev, by task
BEST = {"hear": [2.0, 0.5, 0.5], "see": [0.5, 0.5, 2.0]}


class Preference(Benchmark):
    """A task scores how near the scale of the one edited neuron is to what it likes."""

    def __init__(self, part="test"):
        self.part, self.scored = part, []

    def prepare(self, lm):
        pass

    def forward_tokens(self):
        return 10

    def score(self, lm):
        raise NotImplementedError

    def score_many(self, lm, layout, edits, progress):
        found = []
        for edit in edits:
            (changed,) = edit.touched.nonzero()[:, 0].tolist() or [None]
            self.scored.append((changed, None if changed is None else float(edit.scale[changed])))
            found.append([self._score(task, changed, edit) for task in BEST])
        return found

    def _score(self, task, changed, edit):
        # on test an edit counts for its scale alone
        scale = 1.0 if changed is None else float(edit.scale[changed])
        value = scale
        if self.part == "dev":
            neuron = 0 if changed is None else changed
            value = -abs(scale - BEST[task][neuron])
        name = task if self.part == "test" else f"{task}_dev"
        return Score(name, "acc", value, 0.0, 1, True)

    def key(self):
        return {"benchmark": "preference", "part": self.part}

    def on(self, part):
        assert part is Split.dev
        return Preference("dev")

    def name_on_test(self, name):
        return name.replace("_dev/", "/")


def control_of(target, neuron):
    labels = torch.full_like(target.labels, OUTSIDE)
    labels[neuron] = 0
    return Control(target.with_labels(labels), 1.0, 1.0)


@pytest.fixture
def world(tiny_model, tmp_path):
    layout = tiny_model.layout(Site.mlp_output)
    labels = torch.full((layout.n_neurons,), OUTSIDE)
    labels[0] = 0
    target = Target((0,), labels, layout, same_everywhere(torch.zeros(layout.n_neurons)))
    controls = {
        ControlKind.random: [control_of(target, 1), control_of(target, 2)],
        ControlKind.top_energy: [control_of(target, 2)],
    }
    benchmark = Preference()
    return Scorer(tiny_model, layout, benchmark, ScoreCache(tmp_path)), target, controls


def test_every_draw_has_the_factor_that_is_best_for_it(world):
    scorer, target, controls = world
    found = evaluate_selected(scorer, Scale([0]), FACTORS, target, controls)
    assert found.factors == {"hear/acc": 2.0, "see/acc": 0.5}
    assert found.n_factors == 3
    assert found.control_factors == {
        ControlKind.random: [{"hear/acc": 0.5, "see/acc": 0.5}, {"hear/acc": 0.5, "see/acc": 2.0}],
        ControlKind.top_energy: [{"hear/acc": 0.5, "see/acc": 2.0}],
    }
    hear, see = found.comparisons
    # scores on test are the scales
    assert (hear.score.value, see.score.value) == (2.0, 0.5)
    assert hear.drawn(ControlKind.random).tolist() == [0.5, 0.5]
    assert see.drawn(ControlKind.random).tolist() == [0.5, 2.0]
    assert see.drawn(ControlKind.top_energy).tolist() == [2.0]
    assert hear.baseline.value == 1.0


def test_on_test_only_chosen_factors_are_scored(world):
    scorer, target, controls = world
    evaluate_selected(scorer, Scale([0]), FACTORS, target, controls)
    # an untouched model, and a factor of 1, are one scoring
    assert sorted(scorer.benchmark.scored, key=str) == sorted(
        [(None, None), (0, 2.0), (0, 0.5), (1, 0.5), (2, 0.5), (2, 2.0)], key=str
    )


def test_without_controls_only_the_networks_choose(world):
    scorer, target, _ = world
    found = evaluate_selected(scorer, Scale([0]), FACTORS, target, {})
    assert found.control_factors == {}
    assert [each.score.value for each in found.comparisons] == [2.0, 0.5]


def test_a_benchmark_without_a_dev_part_is_refused(world, monkeypatch):
    scorer, target, controls = world
    monkeypatch.setattr(Preference, "on", Benchmark.on)
    with pytest.raises(BenchmarkError, match="no dev part to choose a factor on"):
        evaluate_selected(scorer, Scale([0]), FACTORS, target, controls)


def test_edits_are_measured_at_the_factors_that_each_chose(world):
    scorer, target, controls = world

    def energy(edit):
        return float((1 - edit.scale).square().sum())

    found = evaluate_selected(scorer, Scale([0]), FACTORS, target, controls)
    sizes = found.with_sizes(SizeMeasure(lambda edit: EditSize(energy(edit), 0.0, None), energy)).sizes
    # (1 - factor)²
    assert {name: each.own.energy for name, each in sizes.items()} == {"hear/acc": 1.0, "see/acc": 0.25}
    assert sizes["hear/acc"].controls[ControlKind.random] == [0.25, 0.25]
    assert sizes["see/acc"].controls == {ControlKind.random: [0.25, 1.0], ControlKind.top_energy: [1.0]}
