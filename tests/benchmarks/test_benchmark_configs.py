"""Every yaml of the group composes and gives the object that it names."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import fbn_exp.script  # noqa: F401 - registers the resolver that conf/common.yaml uses
from fbn_exp.benchmarks.base import Benchmark, NetworkBenchmark
from fbn_exp.config import register
from fbn_exp.config.choices import Split
from fbn_exp.errors import ConfigError
from fbn_exp.stages.build import built

CONF = Path(__file__).parents[2] / "conf"


def benchmark(*overrides):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("evaluate", overrides=list(overrides))
    cfg.run.folder, cfg.run.name, cfg.run.sweep = "nowhere", "test", None
    return built(cfg.benchmark, object)


@pytest.mark.parametrize("option", sorted(file.stem for file in (CONF / "benchmark").glob("*.yaml")))
def test_every_option_composes_and_builds_its_object(option):
    more = {"lm_eval": ["benchmark.tasks=[hellaswag]"], "overlap": ["benchmark.other=nowhere"]}
    measures = option in ("consistency", "overlap", "connectivity")
    made = benchmark(f"benchmark={option}", *more.get(option, []))
    assert isinstance(made, NetworkBenchmark if measures else Benchmark)


@pytest.mark.parametrize("option", ["consistency", "connectivity"])
def test_networks_are_looked_for_in_the_test_part_of_their_own_corpus_unless_told(option):
    own = benchmark(f"benchmark={option}", "dataset=news", "seed=7")
    assert (own.dataset.name, own.dataset.split, own.dataset.seed, own.seed) == ("news", Split.test, 7, 7)
    other = benchmark(f"benchmark={option}", "dataset=news", "dataset@benchmark.dataset=code")
    assert (other.dataset.name, other.dataset.split) == ("code", Split.test)
    assert own.dataset.n_texts == other.dataset.n_texts


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["benchmark=consistency", "benchmark.minimum_iou=1"], r"minimum_iou is 1\.0"),
        (["benchmark=consistency", "benchmark.n_components=0"], "n_components is 0"),
        (["benchmark=consistency", "benchmark.null_draws=0"], "null_draws is 0"),
        (["benchmark=consistency", "benchmark.dataset.n_texts=1"], r"dataset\.n_texts is 1"),
        (["benchmark=overlap", "benchmark.other=x", "benchmark.null_draws=0"], "null_draws is 0"),
        (["benchmark=connectivity", "benchmark.draws=0"], r"benchmark\.draws is 0"),
    ],
)
def test_measures_refuse_what_is_out_of_range(overrides, said):
    with pytest.raises(ConfigError, match=said):
        benchmark(*overrides)


def test_texts_come_from_the_test_part():
    for option in ("perplexity", "classification"):
        assert benchmark(f"benchmark={option}").dataset.split is Split.test


def test_the_default_classification_is_of_positive_and_negative_tweets(tiny_model):
    made = benchmark("benchmark=classification")
    made.prepare(tiny_model)
    assert made.labels == ["negative", "positive"]
    assert len(made.texts) == 200
    assert max(made.texts.lengths) <= 48
    acc, balanced, undecided = made.score(tiny_model)
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
    assert (made.dataset.label_field, made.dataset.split, made.asked) == ("label", Split.test, [])
    assert made.words["Sci/Tech"] == "science"
    assert "\nTopic:" in made.prompt


def test_the_default_prompts_are_written_on(tiny_model):
    made = benchmark("benchmark=generation", "benchmark.new_tokens=5")
    made.prepare(tiny_model)
    assert {score.n for score in made.score(tiny_model)} == {5}
