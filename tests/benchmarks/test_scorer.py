"""Scores of many edits: each computed once, as many together as the benchmark takes, and kept at once."""

import pytest
import torch
from neuron_statistics import same_everywhere

from fbn_exp.benchmarks import evaluator
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.score import Score
from fbn_exp.benchmarks.selection import evaluate_selected
from fbn_exp.core.layout import Site
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.control import Control
from fbn_exp.interventions.edit import no_edit
from fbn_exp.interventions.rules import Scale
from fbn_exp.interventions.target import OUTSIDE, Target


class FirstNeuron(Benchmark):
    """A benchmark whose score is the first neuron's scale; it notes the edits of every call."""

    edits_at_once = 3

    def __init__(self, calls_until_interrupted=None):
        self.calls = []
        self.calls_until_interrupted = calls_until_interrupted

    def prepare(self, lm):
        pass

    def forward_tokens(self):
        return 10

    def score(self, lm):
        raise NotImplementedError

    def score_many(self, lm, layout, edits, progress):
        if len(self.calls) == self.calls_until_interrupted:
            raise KeyboardInterrupt
        self.calls.append([float(edit.scale[0]) for edit in edits])
        return [[Score("first", "scale", float(edit.scale[0]), 0.0, 1, True)] for edit in edits]

    def key(self):
        return {"benchmark": "first neuron"}


def scaled(layout, factor):
    edit = no_edit(layout.n_neurons)
    edit.scale[0] = factor
    return edit


@pytest.fixture
def world(tiny_model, tmp_path):
    layout = tiny_model.layout(Site.mlp_output)

    def scorer(benchmark):
        return Scorer(tiny_model, layout, benchmark, ScoreCache(tmp_path))

    return layout, scorer


def values(scores):
    return [score.value for (score,) in scores]


def test_edits_are_scored_in_chunks_each_once_and_returned_in_order(world):
    layout, scorer = world
    benchmark = FirstNeuron()
    factors = [1.0, 0.5, 0.0, 0.5, 2.0, 3.0]
    found = scorer(benchmark).scores_of([scaled(layout, factor) for factor in factors])
    assert values(found) == factors
    assert benchmark.calls == [[1.0, 0.5, 0.0], [2.0, 3.0]]


def test_only_edits_that_the_cache_lacks_are_scored(world):
    layout, scorer = world
    scorer(FirstNeuron()).scores_of([scaled(layout, factor) for factor in (0.0, 1.0)])
    benchmark = FirstNeuron()
    later = scorer(benchmark)
    assert values(later.scores_of([scaled(layout, factor) for factor in (4.0, 0.0, 5.0, 1.0)])) == [
        4,
        0,
        5,
        1,
    ]
    assert benchmark.calls == [[4.0, 5.0]]
    assert (later.cache.hits, later.cache.misses) == (2, 2)


def test_a_damaged_entry_is_scored_again_and_no_other(world, tmp_path):
    layout, scorer = world
    edits = [scaled(layout, factor) for factor in (0.0, 2.0)]
    scorer(FirstNeuron()).scores_of(edits)
    for file in tmp_path.glob("*.json"):
        if '"value": 2.0' in file.read_text():
            file.write_text("{")
    benchmark = FirstNeuron()
    assert values(scorer(benchmark).scores_of(edits)) == [0.0, 2.0]
    assert benchmark.calls == [[2.0]]


def test_an_interrupted_run_keeps_what_was_scored(world):
    layout, scorer = world
    edits = [scaled(layout, factor) for factor in range(2, 9)]
    with pytest.raises(KeyboardInterrupt):
        scorer(FirstNeuron(calls_until_interrupted=2)).scores_of(edits)
    benchmark = FirstNeuron()
    assert values(scorer(benchmark).scores_of(edits)) == list(range(2, 9))
    assert benchmark.calls == [[8.0]]


def test_a_benchmark_scores_one_edit_after_the_other_by_default(world):
    class ByHooks(FirstNeuron):
        edits_at_once = Benchmark.edits_at_once
        score_many = Benchmark.score_many

        def score(self, lm):
            with torch.no_grad():
                logits = lm.model(input_ids=torch.tensor([[1, 2, 3]])).logits
            self.calls.append(1)
            return [Score("first", "logit", float(logits[0, -1, 0]), 0.0, 1, True)]

    layout, scorer = world
    benchmark = ByHooks()
    once, changed, twice = scorer(benchmark).scores_of(
        [no_edit(layout.n_neurons), scaled(layout, 50.0), no_edit(layout.n_neurons)]
    )
    assert once[0].value == twice[0].value != changed[0].value
    assert len(benchmark.calls) == 2


class Wishes(FirstNeuron):
    """Every neuron has a factor that is best for each of two tasks; the test part adds 10."""

    def __init__(self, part="test"):
        super().__init__()
        self.part = part

    def on(self, part):
        return Wishes(part.value)

    def score_many(self, lm, layout, edits, progress):
        shift = 10.0 if self.part == "test" else 0.0
        scores = []
        for edit in edits:
            changed = (edit.scale != 1).nonzero()
            place = int(changed[0]) if len(changed) else 0
            factor = float(edit.scale[place])
            wishes = {"a": 2.0 + place, "b": 3.0 if place == 0 else 0.0}
            scores.append(
                [
                    Score(task, "acc", shift - abs(factor - wish), 0.0, 1, True)
                    for task, wish in wishes.items()
                ]
            )
        return scores

    def key(self):
        return {"benchmark": "wishes", "part": self.part}


def test_networks_and_every_draw_choose_their_own_factor_on_dev(world):
    layout, scorer = world

    def of_neuron(place):
        labels = torch.full((layout.n_neurons,), OUTSIDE)
        labels[place] = 0
        return Target((0,), labels, layout, same_everywhere(torch.zeros(layout.n_neurons)))

    drawn = {
        ControlKind.random: [Control(of_neuron(place), 1.0, 1.0) for place in (0, 1)],
        ControlKind.per_block: [Control(of_neuron(2), 1.0, 1.0)],
    }
    found = evaluate_selected(scorer(Wishes()), Scale(), [0.0, 2.0, 3.0, 3.0], of_neuron(0), drawn)
    assert found.factors == {"a/acc": 2.0, "b/acc": 3.0}
    assert found.n_factors == 3
    first, second = found.comparisons
    assert (first.score.value, second.score.value) == (10, 10)
    # neuron 1 gets its 3; neuron 2 would want 4
    assert [score.value for draws in first.controls.values() for score in draws] == [10, 10, 9]
    # neurons but the first want 0, the first 3
    assert [score.value for draws in second.controls.values() for score in draws] == [10, 10, 10]


def test_the_estimate_is_that_of_scorings_so_far_and_corrected_while_they_run(world, monkeypatch, caplog):
    """A clock that stands still but for the scorings, each of which takes 20 seconds."""
    layout, scorer = world
    now = 0.0
    monkeypatch.setattr(evaluator.time, "perf_counter", lambda: now)
    benchmark = FirstNeuron()
    plain = benchmark.score_many

    def slow(lm, layout, edits, progress):
        nonlocal now
        now += 20.0 * len(edits)
        return plain(lm, layout, edits, progress)

    benchmark.score_many = slow
    one = scorer(benchmark)
    monkeypatch.setattr(type(one.lm), "forward_rate", lambda lm: 10.0)
    assert one.cost(6) == "6 scorings × 10 tokens: about 6 s, less what is cached"
    with caplog.at_level("INFO", logger="fbn_exp"):
        one.scores_of([scaled(layout, factor) for factor in (1.0, 0.5, 0.0, 2.0, 3.0, 4.0)])
    assert [each.getMessage() for each in caplog.records] == ["3 scorings left: about 60 s, by those so far"]
    assert scorer(FirstNeuron()).cost(6) == "6 scorings × 10 tokens: about 120 s, less what is cached"
