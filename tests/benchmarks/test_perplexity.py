import hashlib
import math

import numpy as np
import pytest
import torch

from fbn_exp.benchmarks.perplexity import Perplexity
from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset

TEXTS = [
    "A short one.",
    "Zürich lies on the river Limmat, at the lower end of its lake.",
    "ab",
    "Many words make a text of a middling length",
    "x" * 200,
]
VOCABULARY = 259


def scored(dataset, lm, batch_tokens=1024):
    benchmark = Perplexity(dataset, batch_tokens)
    benchmark.prepare(lm)
    return benchmark, {score.metric: score for score in benchmark.score(lm)}


def nats_one_by_one(lm, ids):
    """Loss of each text by itself, token by token, without a batch or a mask."""
    found = []
    for text in ids:
        with torch.no_grad():
            likelihood = lm.model(input_ids=torch.tensor([text])).logits[0].double().log_softmax(-1)
        found.append(-sum(float(likelihood[place, token]) for place, token in enumerate(text[1:])))
    return np.array(found)


def test_loss_is_that_of_a_loop_over_texts_and_tokens(tiny_model, texts_of):
    benchmark, scores = scored(texts_of(TEXTS, tokens_per_text=128), tiny_model, batch_tokens=300)
    nats = nats_one_by_one(tiny_model, benchmark.texts.ids)
    predicted = np.array(benchmark.texts.lengths) - 1
    assert scores["nats_per_token"].items == pytest.approx(nats / predicted, rel=1e-6)
    assert scores["nats_per_token"].value == pytest.approx(nats.sum() / predicted.sum(), rel=1e-6)


def test_bits_per_byte_count_the_bytes_of_what_is_predicted(tiny_model, texts_of):
    benchmark, scores = scored(texts_of(["Zürich", "Genf am See"]), tiny_model)
    nats = nats_one_by_one(tiny_model, benchmark.texts.ids)
    # one token is one byte, and the first of each text is not predicted
    n_bytes = [len(each.text.encode()) - 1 for each in benchmark.texts.documents]
    assert sorted(n_bytes) == [6, 10]
    assert scores["bits_per_byte"].value == pytest.approx(nats.sum() / math.log(2) / 16, rel=1e-6)
    assert scores["bits_per_byte"].items == pytest.approx(nats / math.log(2) / np.array(n_bytes), rel=1e-6)


def test_a_uniform_model_loses_log_v_per_token(tiny_model, texts_of):
    torch.nn.init.zeros_(tiny_model.model.get_output_embeddings().weight)
    _, scores = scored(texts_of(TEXTS), tiny_model)
    assert scores["nats_per_token"].value == pytest.approx(math.log(VOCABULARY), rel=1e-6)
    assert scores["nats_per_token"].standard_error == pytest.approx(0, abs=1e-6)
    assert scores["bits_per_byte"].value == pytest.approx(math.log2(VOCABULARY), rel=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 150, 100_000])
def test_the_size_of_batches_does_not_matter(tiny_model, texts_of, batch_tokens):
    dataset = texts_of(TEXTS)
    _, alone = scored(dataset, tiny_model, batch_tokens=1)
    _, together = scored(dataset, tiny_model, batch_tokens)
    for metric, score in alone.items():
        assert together[metric].items == pytest.approx(score.items, rel=1e-6)


def test_a_broken_model_gives_no_number_instead_of_an_exception(tiny_model, texts_of):
    torch.nn.init.constant_(tiny_model.model.get_output_embeddings().weight, torch.nan)
    _, scores = scored(texts_of(TEXTS), tiny_model)
    assert math.isnan(scores["nats_per_token"].value)


def test_digests_are_those_of_whole_documents(tiny_model, texts_of):
    benchmark, _ = scored(texts_of(TEXTS, tokens_per_text=8), tiny_model)
    assert benchmark.text_digests() == {hashlib.sha256(text.encode()).hexdigest()[:16] for text in TEXTS}


def test_parts_share_no_digest_and_a_cut_does_not_hide_a_text(tiny_model):
    def digests(**settings):
        benchmark = Perplexity(EmbeddedDataset("news", n_texts=None, **settings))
        benchmark.prepare(tiny_model)
        return benchmark.text_digests()

    assert not digests(split=Split.train) & digests(split=Split.test)
    assert digests(split=Split.test) == digests(split=Split.test, tokens_per_text=32)


def test_on_reads_another_part_of_the_same_source(tiny_model):
    benchmark = Perplexity(EmbeddedDataset("news", split=Split.test, n_texts=5), batch_tokens=77)
    other = benchmark.on(Split.dev)
    benchmark.prepare(tiny_model)
    other.prepare(tiny_model)
    assert (other.dataset.split, other.dataset.n_texts, other.batch_tokens) == (Split.dev, 5, 77)
    assert benchmark.dataset.split is Split.test
    assert not benchmark.text_digests() & other.text_digests()


def test_the_key_changes_with_the_texts_and_not_with_the_batches(tiny_model, texts_of):
    keys = [
        scored(texts_of(TEXTS, tokens_per_text=tokens), tiny_model, batch)[0].key()
        for tokens, batch in [(64, 1024), (64, 10), (32, 1024)]
    ]
    assert keys[0] == keys[1] != keys[2]


def test_texts_of_a_single_token_are_refused(texts_of):
    with pytest.raises(ConfigError, match=r"benchmark\.dataset\.min_tokens is 1"):
        Perplexity(texts_of(TEXTS, min_tokens=1))
