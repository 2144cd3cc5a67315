"""Divergence against direct computation, and the independence of its scores of how they are batched."""

import math

import numpy as np
import pytest
import torch
from component_edits import random_projection, random_subtraction

from fbn_exp.benchmarks.base import Progress
from fbn_exp.benchmarks.divergence.benchmark import Divergence
from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.interventions.edit import AffineEdit, applied, no_edit

TEXTS = [
    "A short one.",
    "Zürich lies on the river Limmat, at the lower end of its lake.",
    "ab",
    "Many words make a text of a middling length",
    "x" * 200,
]


@pytest.fixture
def lively_model(tiny_model):
    """The tiny model with logits far from uniform, so that an edit has something to change."""
    with torch.no_grad():
        tiny_model.model.get_output_embeddings().weight.mul_(200.0)
    return tiny_model


def edits_of(lm, count=4):
    layout = lm.layout(Site.mlp_output)
    generator = torch.Generator().manual_seed(0)
    edits = []
    for _ in range(count):
        edit = no_edit(layout.n_neurons)
        chosen = torch.randperm(layout.n_neurons, generator=generator)[: layout.n_neurons // 3]
        edit.scale[chosen] = 0.0
        edit.shift[chosen] = 5 * torch.randn(len(chosen), generator=generator)
        edits.append(edit)
    return layout, edits


def prepared(dataset, lm, **settings):
    benchmark = Divergence(dataset, **settings)
    benchmark.prepare(lm)
    return benchmark


def scored(benchmark, lm, layout, edits):
    return [
        {score.metric: score for score in scores}
        for scores in benchmark.score_many(lm, layout, edits, Progress())
    ]


def log_probabilities(lm, text):
    with torch.no_grad():
        return lm.model(input_ids=torch.tensor([text])).logits[0, :-1].double().log_softmax(-1)


def test_every_measure_is_that_of_a_loop_over_texts_and_tokens(lively_model, texts_of):
    benchmark = prepared(texts_of(TEXTS, tokens_per_text=128), lively_model, batch_tokens=150)
    layout, edits = edits_of(lively_model)
    for edit, found in zip(edits, scored(benchmark, lively_model, layout, edits), strict=True):
        divergence, same, losses, tokens = [], [], [], []
        for text in benchmark.texts.ids:
            before = log_probabilities(lively_model, text)
            with applied(lively_model.model, layout, edit):
                after = log_probabilities(lively_model, text)
            divergence.append(float((before.exp() * (before - after)).sum()))
            same.append(int((before.argmax(-1) == after.argmax(-1)).sum()))
            losses.append(-float(after[range(len(text) - 1), text[1:]].sum()))
            tokens.append(len(text) - 1)
        for metric, sums in (("kl", divergence), ("top1", same), ("nats_per_token", losses)):
            assert found[metric].items == pytest.approx(np.array(sums) / tokens, rel=1e-4, abs=5e-6)
            assert found[metric].value == pytest.approx(sum(sums) / sum(tokens), rel=1e-4, abs=5e-6)
        assert found["kl"].value > 0.1
        assert found["top1"].value < 1


def test_one_temperature_for_all_texts_minimises_the_loss(lively_model, texts_of):
    from scipy.optimize import minimize_scalar

    benchmark = prepared(texts_of(TEXTS), lively_model)
    layout, (edit, *_) = edits_of(lively_model, 1)
    (found,) = scored(benchmark, lively_model, layout, [edit])
    with applied(lively_model.model, layout, edit):
        predictions = [log_probabilities(lively_model, text) for text in benchmark.texts.ids]

    def losses(inverse):
        return np.array(
            [
                -float((inverse * one).log_softmax(-1)[range(len(text) - 1), text[1:]].sum())
                for one, text in zip(predictions, benchmark.texts.ids, strict=True)
            ]
        )

    best = minimize_scalar(lambda inverse: losses(inverse).sum(), bounds=(0, 4), method="bounded").x
    assert abs(best - 1) > 0.2
    tokens = np.array(benchmark.texts.lengths) - 1
    assert found["nats_refitted"].items == pytest.approx(losses(best) / tokens, abs=1e-4)
    assert found["nats_refitted"].value == pytest.approx(losses(best).sum() / tokens.sum(), abs=1e-6)
    assert found["nats_refitted"].value < found["nats_per_token"].value - 0.05


def test_the_untouched_model_diverges_by_nothing(lively_model, texts_of):
    benchmark = prepared(texts_of(TEXTS), lively_model)
    layout = lively_model.layout(Site.mlp_output)
    nothing = no_edit(layout.n_neurons)
    # also where the model runs again
    by_hooks = AffineEdit(nothing.scale.clone(), nothing.shift + 1e-30)
    for untouched in (
        scored(benchmark, lively_model, layout, [nothing]),
        scored(benchmark, lively_model, layout, [by_hooks]),
    ):
        assert (untouched[0]["kl"].items == 0).all()
        assert (untouched[0]["top1"].items == 1).all()
    # which is so by construction, and no test
    from_untouched = {metric for metric, score in untouched[0].items() if score.from_untouched}
    assert from_untouched == {"kl", "top1"}


def test_many_edits_give_what_each_gives_alone(lively_model, texts_of):
    benchmark = prepared(texts_of(TEXTS), lively_model, batch_tokens=150)
    layout, edits = edits_of(lively_model)
    edits.insert(1, no_edit(layout.n_neurons))
    together = scored(benchmark, lively_model, layout, edits)
    for edit, found in zip(edits, together, strict=True):
        (alone,) = scored(benchmark, lively_model, layout, [edit])
        for metric, score in alone.items():
            assert (found[metric].items == score.items).all()


@pytest.mark.parametrize("size", [2, 3])
def test_edits_that_share_a_batch_give_what_each_gives_alone(lively_model, texts_of, size):
    layout, edits = edits_of(lively_model)
    edits.insert(1, no_edit(layout.n_neurons))
    edits.insert(2, random_subtraction(layout))
    edits.insert(4, random_projection(layout))
    shared, alone = (
        scored(
            prepared(texts_of(TEXTS), lively_model, batch_tokens=150, edits_per_batch=each),
            lively_model,
            layout,
            edits,
        )
        for each in (size, 1)
    )
    assert len({found["kl"].value for found in alone}) == len(edits)
    for one, other in zip(shared, alone, strict=True):
        for metric, score in one.items():
            assert score.items == pytest.approx(other[metric].items, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 150, 100_000])
def test_batches_and_padding_do_not_matter(lively_model, texts_of, batch_tokens):
    layout, edits = edits_of(lively_model, 2)
    of_one, of_many = (
        scored(prepared(texts_of(TEXTS), lively_model, batch_tokens=size), lively_model, layout, edits)
        for size in (1, batch_tokens)
    )
    for one, many in zip(of_one, of_many, strict=True):
        for metric, score in one.items():
            assert many[metric].items == pytest.approx(score.items, rel=1e-4, abs=1e-5)


def test_a_model_without_information_diverges_to_the_uniform_distribution(lively_model, texts_of):
    benchmark = prepared(texts_of(TEXTS), lively_model)
    vocabulary = lively_model.model.config.vocab_size
    layout, edits = edits_of(lively_model, 1)
    (found,) = scored(benchmark, lively_model, layout, edits)
    # never above the loss of guessing, whatever the edit
    assert found["nats_refitted"].value <= math.log(vocabulary) + 1e-6
    assert found["nats_per_token"].value > math.log(vocabulary)


def test_a_broken_model_gives_no_number_instead_of_an_exception(tiny_model, texts_of):
    benchmark = prepared(texts_of(TEXTS), tiny_model)
    layout, edits = edits_of(tiny_model, 1)
    edits[0].shift[3] = math.nan
    (found,) = scored(benchmark, tiny_model, layout, edits)
    assert all(math.isnan(found[metric].value) for metric in ("kl", "nats_per_token", "nats_refitted"))
    assert found["top1"].value < 1


def test_tokens_that_both_models_exclude_count_nothing():
    from fbn_exp.benchmarks.divergence.benchmark import _Untouched

    logits = torch.tensor([[1.0, 2.0, -math.inf], [0.0, 0.5, -math.inf]])
    edited = torch.tensor([[2.0, 1.0, -math.inf], [0.0, 0.5, -math.inf]])
    sums = _Untouched.of(logits).measures(edited, torch.tensor([0, 1])).sum(dim=0)
    p = 1 / (1 + math.e)
    assert sums[0].item() == pytest.approx((1 - p) - p, rel=1e-6)
    assert sums[1].item() == 1
    assert sums.isfinite().all()


def test_progress_counts_every_edit_once(tiny_model, texts_of):
    counted = []
    progress = Progress()
    progress.advance = counted.append
    benchmark = prepared(texts_of(TEXTS), tiny_model, batch_tokens=150)
    layout, edits = edits_of(tiny_model, 3)
    benchmark.score_many(tiny_model, layout, edits, progress)
    assert sum(counted) == pytest.approx(3)


def test_a_model_alone_has_no_divergence(tiny_model, texts_of):
    with pytest.raises(BenchmarkError, match="benchmark=perplexity"):
        prepared(texts_of(TEXTS), tiny_model).score(tiny_model)


def test_texts_of_a_single_token_are_refused(texts_of):
    with pytest.raises(ConfigError, match=r"benchmark\.dataset\.min_tokens is 1"):
        Divergence(texts_of(TEXTS, min_tokens=1))


def test_on_reads_another_part_of_the_same_source(tiny_model):
    benchmark = Divergence(EmbeddedDataset("news", split=Split.test, n_texts=5), batch_tokens=77)
    other = benchmark.on(Split.dev)
    benchmark.prepare(tiny_model)
    other.prepare(tiny_model)
    assert (other.dataset.split, other.dataset.n_texts, other.batch_tokens) == (Split.dev, 5, 77)
    assert not benchmark.text_digests() & other.text_digests()
    assert benchmark.key() != other.key()
