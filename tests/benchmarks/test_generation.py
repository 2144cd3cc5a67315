import dataclasses
import json

import pytest
import torch
from zoo import ZOO

from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.generation import Generation, distinct, repetition
from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.datasets.config import Split
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.decoding.generation import end_ids
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer

PROMPTS = ["a", "a longer prompt of many bytes", "hello there", "middling"]


def written(lm, prompts=PROMPTS, new_tokens=12, batch_size=4):
    benchmark = Generation(prompts, new_tokens, batch_size)
    benchmark.prepare(lm)
    return benchmark._write(lm)


def scored(lm, prompts=PROMPTS, **settings):
    benchmark = Generation(prompts, **settings)
    benchmark.prepare(lm)
    return {score.metric: score for score in benchmark.score(lm)}


def most_likely(lm, prompt, new_tokens):
    """The most likely token again and again, without a batch, padding or a cache."""
    ids, found = lm.tokenizer.encode(prompt), []
    while len(found) < new_tokens:
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([ids + found]), use_cache=False).logits[0, -1]
        if int(logits.argmax()) in end_ids(lm):
            break
        found.append(int(logits.argmax()))
    return found


@pytest.mark.parametrize("name", [name for name in ZOO if name != "chatglm"])
def test_a_padded_batch_writes_what_each_prompt_gives_alone(name):
    config = ModelConfig(name=f"random:{name}", dtype=Precision.float32, device="cpu")
    lm = LanguageModel(ZOO[name].build(), byte_tokenizer(), config, None)
    expected = [most_likely(lm, prompt, 8) for prompt in PROMPTS]
    assert written(lm, new_tokens=8, batch_size=4) == expected
    assert written(lm, new_tokens=8, batch_size=3) == expected


def test_a_text_stops_at_any_token_that_ends_one(tiny_model):
    free = most_likely(tiny_model, PROMPTS[1], 12)
    tiny_model.model.generation_config.eos_token_id = [256, free[5]]
    stopped = written(tiny_model)[1]
    assert stopped == free[: free.index(free[5])]
    assert written(tiny_model, [PROMPTS[1]])[0] == stopped
    assert scored(tiny_model, [PROMPTS[1]])["length"].value == len(stopped)


def test_an_end_at_once_is_an_empty_text(tiny_model):
    first = most_likely(tiny_model, "a", 1)
    tiny_model.model.generation_config.eos_token_id = first
    scores = scored(tiny_model, ["a"])
    assert {metric: score.value for metric, score in scores.items()} == {
        "distinct_1": 0,
        "distinct_2": 0,
        "repetition": 0,
        "length": 0,
    }
    assert scores["length"].texts == ("",)


def test_the_models_own_settings_change_nothing_and_stay(tiny_model):
    plain = written(tiny_model)
    own = tiny_model.model.generation_config
    own.repetition_penalty, own.do_sample, own.max_length = 5.0, True, 3
    own.no_repeat_ngram_size, own.suppress_tokens = 1, plain[0]
    before = own.to_dict()
    assert written(tiny_model) == plain
    assert tiny_model.model.generation_config.to_dict() == before


def test_a_broken_model_writes_something_instead_of_an_exception(tiny_model):
    torch.nn.init.constant_(tiny_model.model.get_output_embeddings().weight, torch.nan)
    assert scored(tiny_model, new_tokens=5)["length"].n == len(PROMPTS)


def test_texts_are_what_was_written_without_the_prompt(tiny_model):
    scores = scored(tiny_model, new_tokens=12)
    texts = tuple(tiny_model.tokenizer.decode(ids) for ids in written(tiny_model))
    assert all(score.texts == texts for score in scores.values())


def test_scores_are_the_measures_of_what_was_written(tiny_model):
    scores = scored(tiny_model, new_tokens=12)
    ids = written(tiny_model)
    assert scores["distinct_2"].items.tolist() == [distinct(each, 2) for each in ids]
    assert scores["repetition"].items.tolist() == [repetition(each, 3) for each in ids]
    assert scores["length"].items.tolist() == [len(each) for each in ids]
    assert not scores["repetition"].higher_is_better


def test_prompts_are_scored_on_request(tiny_model):
    asked = {"new_tokens": 5, "score_prompts": True, "batch_size": 2}
    scores = scored(tiny_model, PROMPTS[1:], **asked)
    expected, counts = [], []
    for prompt in PROMPTS[1:]:
        ids = torch.tensor([tiny_model.tokenizer.encode(prompt)])
        with torch.no_grad():
            expected.append(tiny_model.model(ids, labels=ids).loss.item())
        counts.append(ids.shape[1] - 1)
    assert scores["prompt_nats"].items.tolist() == pytest.approx(expected, rel=1e-5)
    total = sum(one * count for one, count in zip(expected, counts, strict=True))
    assert scores["prompt_nats"].value == pytest.approx(total / sum(counts), rel=1e-5)
    assert not scores["prompt_nats"].higher_is_better
    assert set(scores) == {"distinct_1", "distinct_2", "repetition", "length", "prompt_nats"}
    assert [f"generation/{each}" for each in scores] == Generation(PROMPTS, **asked).score_names()
    with pytest.raises(BenchmarkError, match="'a' is one token"):
        scored(tiny_model, ["a"], **asked)


def test_written_texts_survive_the_cache(tiny_model, tmp_path):
    def compute():
        return list(scored(tiny_model, new_tokens=5).values())

    first = ScoreCache(tmp_path).scores({"key": 1}, compute)
    again = ScoreCache(tmp_path).scores({"key": 1}, lambda: pytest.fail("computed again"))
    for one, other in zip(first, again, strict=True):
        plain = [
            json.dumps(dataclasses.asdict(each), default=lambda array: array.tolist())
            for each in (one, other)
        ]
        assert plain[0] == plain[1]
        assert one.texts == other.texts
        assert isinstance(other.texts, tuple)


@pytest.mark.parametrize(
    ("ids", "distinct_1", "distinct_2", "repetition_3"),
    [
        ([1, 2, 3, 4], 1, 1, 0),
        ([1, 1, 1, 1, 1], 1 / 5, 1 / 4, 2 / 3),
        ([1, 2, 1, 2, 1, 2], 2 / 6, 2 / 5, 2 / 4),
        ([7], 1, 0, 0),
        ([], 0, 0, 0),
    ],
)
def test_distinct_and_repetition_by_hand(ids, distinct_1, distinct_2, repetition_3):
    assert distinct(ids, 1) == pytest.approx(distinct_1)
    assert distinct(ids, 2) == pytest.approx(distinct_2)
    assert repetition(ids, 3) == pytest.approx(repetition_3)


def test_the_key_changes_with_prompts_and_length_and_not_with_the_batch(tiny_model):
    def key(*arguments):
        benchmark = Generation(*arguments)
        benchmark.prepare(tiny_model)
        return benchmark.key()

    assert key(["a"], 8, 1) == key(["a"], 8, 2)
    others = (key(["b"], 8), key(["a"], 9), key(["ab"], 8), key(["ab"], 8, 1, True))
    assert len({json.dumps(each) for each in (key(["a"], 8), *others)}) == 5


def test_prompts_have_no_parts():
    with pytest.raises(BenchmarkError, match="generation has no dev part"):
        Generation(["a"]).on(Split.dev)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompts": []}, r"benchmark\.prompts: name at least one"),
        ({"prompts": ["a", ""]}, r"benchmark\.prompts: .* none of them empty"),
        ({"prompts": ["a"], "new_tokens": 3}, r"benchmark\.new_tokens is 3, must be at least 4"),
        ({"prompts": ["a"], "batch_size": 0}, r"benchmark\.batch_size is 0"),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        Generation(**settings)
