"""A localizer from texts to a lesion, on a tiny model."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from in_process import composed, run_stage

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.cache import cache_entry
from fbn_exp.stages.build import extraction_parts

SMALL = ("model=tiny", "method=localizer", "method.permutations=19", "method.splits=2")


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    """Overrides for a contrast of two files: letters against digits."""
    folder = tmp_path_factory.mktemp("own")
    for name, symbols in (("letters", "abcdefgh"), ("digits", "12345678")):
        texts = ["".join(symbols[(number * 3 + place * (1 + number % 7)) % 8] for place in range(9))
                 for number in range(16)]  # fmt: skip
        lines = "".join(json.dumps({"text": f"{text} {number}"}) + "\n" for number, text in enumerate(texts))
        (folder / f"{name}.jsonl").write_text(lines)
    paths = {"positive": "letters", "negative": "digits"}
    return (
        "method/contrasts=files",
        *(f"dataset.conditions.{side}.paths=[{folder / name}.jsonl]" for side, name in paths.items()),
        *(f"dataset.conditions.{side}.min_tokens=4" for side in paths),
    )


@pytest.fixture(scope="module")
def run_folder(own_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run_stage("extract", folder, *SMALL, *own_files, f"cache={folder / 'cache'}")
    return folder


def test_networks_are_named_everywhere_that_they_are_shown(run_folder):
    networks = FunctionalNetworks.load(run_folder / "networks")
    assert networks.names == ("files",)
    table = pd.read_csv(run_folder / "tables" / "networks.csv")
    assert table["name"].tolist() == ["files"]
    assert {"split_half", "p_split_half", "effect_size", "share_significant"} <= {*table}
    assert table["texts_positive"].tolist() == [16]
    # one percent of the neurons by default
    assert table["size"].tolist() == [max(1, round(0.01 * networks.layout.n_neurons))]
    assert '"files: ' in (run_folder / "report.html").read_text()


def test_later_stages_take_such_networks(run_folder, own_files):
    cache = f"cache={run_folder / 'cache'}"
    scored = run_stage(
        "evaluate",
        run_folder / "lesion",
        *SMALL,
        *own_files,
        cache,
        "intervention=inhibit",
        "benchmark=divergence",
        "benchmark.dataset.n_texts=2",
        "benchmark.dataset.tokens_per_text=16",
        "controls.kinds=[random,energy]",
        "controls.repeats=2",
    )
    # taken from the cache: the same networks
    assert len(list((run_folder / "cache" / "networks").glob("*/networks.json"))) == 1
    assert any(name.endswith("/kl") for name in scored)


def test_the_same_texts_under_other_labels_give_other_networks(own_files, tmp_path):
    parts = extraction_parts(composed(*SMALL, *own_files))
    extractor, lm = parts.extractor(), load(parts.model, tmp_path)
    texts = extractor.texts(lm)
    other = {"positive": "negative", "negative": "positive"}
    swapped = replace(
        texts,
        items=tuple(
            replace(item, document=replace(item.document, label=other[item.document.label]))
            for item in texts.items
        ),
    )
    assert swapped.digest == texts.digest
    assert cache_entry(extractor, lm, swapped, tmp_path) != cache_entry(extractor, lm, texts, tmp_path)


def test_the_default_contrasts_compose_and_any_of_them_can_be_chosen():
    cfg = composed("method=localizer")
    typed(cfg, object)
    assert list(cfg.method.contrasts)[:4] == ["language", "math", "code", "probe_grammar"]
    assert len(cfg.method.contrasts) == 10
    assert cfg.threshold.fraction == 0.01
    few = composed("method=localizer", "method/contrasts=[math]", "threshold=fdr", script="evaluate")
    typed(few, object)
    assert list(few.method.contrasts) == ["math"]
    assert list(few.dataset.conditions) == ["math", "wiki"]
    assert list(few.threshold) == ["_target_", "pole", "rate"]


LABELS = ("method=localizer", "method/contrasts=labels")
MOOD = ("method.contrasts.labels.positive=[positive]", "method.contrasts.labels.negative=[negative]")


def test_labels_of_a_labelled_data_set_are_conditions():
    typed(composed(*LABELS, "dataset=tweets", *MOOD), object)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (*LABELS, "dataset=tweets"),
            r"method\.contrasts\.labels\.positive is \[\], must be a list of labels",
        ),
        (
            (*LABELS, "dataset=wiki", *MOOD),
            "labelled positive, negative, and .* no labels: take dataset=cond",
        ),
        (
            (*LABELS, "dataset=tweets", MOOD[0], "method.contrasts.labels.negative=[sad]"),
            "labelled sad, and the texts of dataset have other labels: negative, neutral, positive",
        ),
        (("method=localizer", "method.n_components=3"), "method.n_components is 3, must be left out"),
        (("method=localizer", "reliability=icasso"), "take reliability=none"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_model_loads(overrides, message):
    with pytest.raises(ConfigError, match=message):
        typed(composed(*overrides), object)
