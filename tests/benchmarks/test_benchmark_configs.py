"""Every yaml of the group composes and gives the object that it names."""

from pathlib import Path

import pytest
from in_process import composed

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.datasets.config import Split
from fbn_exp.stages.build import built

CONF = Path(__file__).parents[2] / "conf"


def benchmark(*overrides):
    return built(composed(*overrides, script="evaluate").benchmark, object)


@pytest.mark.parametrize("option", sorted(file.stem for file in (CONF / "benchmark").glob("*.yaml")))
def test_every_option_composes_and_builds_its_object(option):
    more = {"lm_eval": ["benchmark.tasks=[hellaswag]"]}
    assert isinstance(benchmark(f"benchmark={option}", *more.get(option, [])), Benchmark)


def test_texts_come_from_the_test_part():
    for option in ("perplexity", "classification"):
        assert benchmark(f"benchmark={option}").dataset.split is Split.test


def test_the_default_classification_is_of_positive_and_negative_tweets(tiny_model):
    made = benchmark("benchmark=classification")
    made.prepare(tiny_model)
    assert made.labels_ == ["negative", "positive"]
    assert len(made.texts) == 200
    assert max(made.texts.lengths) <= 48
    scores = {score.metric: score for score in made.score(tiny_model)}
    acc, balanced, undecided = (scores[name] for name in ("acc", "balanced_acc", "undecided"))
    assert (acc.n, undecided.value) == (200, 0)
    assert acc.chance > balanced.chance == 0.5


def test_another_data_set_takes_its_own_labels_and_other_words():
    made = benchmark(
        "benchmark=classification",
        "dataset@benchmark.dataset=agnews",
        "benchmark.labels=[]",
        "benchmark.prompt='News: {text}\nTopic:'",
        "+benchmark.words={Sci/Tech: science}",
    )
    assert (made.dataset.label_field, made.dataset.split, made.labels) == ("label", Split.test, [])
    assert made.words["Sci/Tech"] == "science"
    assert "\nTopic:" in made.prompt


def test_the_default_prompts_are_written_on(tiny_model):
    made = benchmark("benchmark=generation", "benchmark.new_tokens=5")
    made.prepare(tiny_model)
    assert {score.n for score in made.score(tiny_model)} == {5}
