"""Scores of edits that share batches, against those of each edit alone, in every benchmark that can."""

import math
from types import SimpleNamespace

import pytest
import torch
from component_edits import random_projection, random_subtraction

from fbn_exp.benchmarks.base import MOST_BY_ITSELF, Progress
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.classification import Classification
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.harness.choices import SharedContexts
from fbn_exp.benchmarks.perplexity import Perplexity
from fbn_exp.benchmarks.probes.battery import Probes
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import no_edit

TEXTS = ["A short one.", "Zürich lies on the river Limmat, at the end of its lake.", "ab", "x" * 90]


def edits_of(lm):
    layout = lm.layout(Site.mlp_output)
    generator = torch.Generator().manual_seed(0)
    edits = []
    for _ in range(4):
        edit = no_edit(layout.n_neurons)
        chosen = torch.randperm(layout.n_neurons, generator=generator)[: layout.n_neurons // 3]
        edit.scale[chosen] = 0.0
        edit.shift[chosen] = 5 * torch.randn(len(chosen), generator=generator)
        edits.append(edit)
    return layout, [
        edits[0],
        no_edit(layout.n_neurons),
        random_subtraction(layout),
        *edits[1:],
        random_projection(layout),
        random_projection(layout, seed=1),
    ]


def scored(benchmark, lm):
    benchmark.prepare(lm)
    layout, edits = edits_of(lm)
    counted = []
    progress = Progress()
    progress.advance = counted.append
    found = benchmark.score_many(lm, layout, edits, progress)
    assert sum(counted) == pytest.approx(len(edits))
    return found


def assert_alike(make, lm, size=3):
    shared, alone = (scored(make(edits_per_batch=each), lm) for each in (size, 1))
    different = set()
    for one, other in zip(shared, alone, strict=True):
        assert [score.name for score in one] == [score.name for score in other]
        for score, expected in zip(one, other, strict=True):
            assert score.items == pytest.approx(expected.items, rel=1e-4, abs=1e-5, nan_ok=True)
        different.add(tuple(score.value for score in one))
    assert len(different) > 1


@pytest.fixture
def lively_model(tiny_model):
    with torch.no_grad():
        for weight in tiny_model.model.parameters():
            weight.mul_(4)
    return tiny_model


def test_perplexity(lively_model, texts_of):
    assert_alike(lambda **own: Perplexity(texts_of(TEXTS), batch_tokens=100, **own), lively_model)


@pytest.mark.parametrize("words", [{}, {"a": "y", "b": "no"}])
def test_classification(lively_model, texts_of, words):
    texts = texts_of(TEXTS, labels=["a", "b", "a", "b"])
    assert_alike(lambda **own: Classification(texts, "{text} is", words, **own), lively_model)


def test_lm_eval(lively_model):
    assert_alike(
        lambda **own: Probes(["grammar", "recall"], limit=3, batch_size=4, **own), lively_model, size=4
    )


def test_packed_rows_of_several_edits_are_scored_together(lively_model, monkeypatch):
    copies = []
    compute = SharedContexts._scored

    def counted(self, rows, first=False):
        copies.append(self._copies)
        return compute(self, rows, first)

    monkeypatch.setattr(SharedContexts, "_scored", counted)
    scored(Probes(["grammar"], limit=3, edits_per_batch=5), lively_model)
    # five edits that scale, two projections, and a subtraction
    assert set(copies) == {5, 2, 1}


def test_edits_whose_rows_are_not_their_own_are_found_out(lively_model, monkeypatch):
    from fbn_exp.interventions import stacked

    # each row gets the change of the first edit
    monkeypatch.setattr(
        stacked.StackedAffineEdit,
        "change",
        lambda self, block, activations, tokens: self.edits[0].change(block, activations, tokens),
    )

    def probes(size):
        benchmark = Probes(["grammar"], limit=3, edits_per_batch=size)
        return benchmark, scored(benchmark, lively_model)

    (broken, found), (_, expected) = probes(5), probes(1)
    assert broken.remarks()[0].startswith("benchmark.edits_per_batch: one edit per batch (log-likelihoods")
    for one, other in zip(found, expected, strict=True):
        assert [score.value for score in one] == [score.value for score in other]


def test_a_scorer_gives_a_benchmark_as_many_edits_as_share_a_batch(lively_model, texts_of, tmp_path):
    benchmark = Perplexity(texts_of(TEXTS), edits_per_batch=5)
    benchmark.prepare(lively_model)
    calls = []
    whole = benchmark.score_many

    def counted(lm, layout, edits, progress):
        calls.append(len(edits))
        return whole(lm, layout, edits, progress)

    benchmark.score_many = counted
    layout, edits = edits_of(lively_model)
    Scorer(lively_model, layout, benchmark, ScoreCache(tmp_path)).scores_of(edits)
    assert calls == [5, 3]


@pytest.mark.parametrize(
    ("device", "parameters", "tokens", "expected"),
    [
        ("cpu", 1e8, 512, 1),
        ("cuda", 1e8, 512, MOST_BY_ITSELF),
        ("cuda", 8e9, 512, 1),
        ("cuda", 1e9, 1024, 4),
    ],
)
def test_edits_share_a_batch_where_one_leaves_an_accelerator_idle(
    texts_of, device, parameters, tokens, expected
):
    lm = SimpleNamespace(
        device=torch.device(device), model=SimpleNamespace(num_parameters=lambda: int(parameters))
    )
    benchmark = Perplexity(texts_of(TEXTS), batch_tokens=tokens)
    benchmark.texts = SimpleNamespace(n_tokens=10_000)
    assert benchmark.edits_of_batch(lm) == expected
    assert Perplexity(texts_of(TEXTS), edits_per_batch=7).edits_of_batch(lm) == 7


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, math.nan, 10_000, None])
def test_a_number_of_edits_out_of_range_is_refused(texts_of, value):
    with pytest.raises(ConfigError, match=r"benchmark\.edits_per_batch"):
        Perplexity(texts_of(TEXTS), edits_per_batch=value)
