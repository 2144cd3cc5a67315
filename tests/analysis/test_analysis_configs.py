"""Every yaml of the group composes and gives the object that it names."""

from pathlib import Path

import pytest
from in_process import composed

from fbn_exp.analysis.base import Analysis
from fbn_exp.analysis.keystones.analysis import N_TEXTS
from fbn_exp.core.errors import FbnError
from fbn_exp.datasets.config import Split
from fbn_exp.stages.build import built

CONF = Path(__file__).parents[2] / "conf"


def analysis(*overrides):
    return built(composed(*overrides, script="evaluate").analysis, Analysis)


@pytest.mark.parametrize("option", sorted(file.stem for file in (CONF / "analysis").glob("*.yaml")))
def test_every_option_composes_and_builds_its_object(option, tmp_path):
    (tmp_path / "networks.json").touch()
    more = [f"analysis.other={tmp_path}"] if option in ("overlap", "fingerprint") else []
    assert isinstance(analysis(f"analysis={option}", *more), Analysis)


@pytest.mark.parametrize("option", ["consistency", "connectivity"])
def test_networks_are_looked_for_in_the_test_part_of_their_own_corpus_unless_told(option):
    own = analysis(f"analysis={option}", "dataset=news", "seed=7")
    assert (own.dataset.name, own.dataset.split, own.dataset.seed, own.seed) == ("news", Split.test, 7, 7)
    other = analysis(f"analysis={option}", "dataset=news", "dataset@analysis.dataset=code")
    assert (other.dataset.name, other.dataset.split) == ("code", Split.test)
    assert own.dataset.n_texts == other.dataset.n_texts


def test_keystones_are_looked_for_in_texts_that_neither_networks_nor_benchmarks_see():
    own = analysis("analysis=keystones", "dataset=news", "seed=7")
    assert (own.dataset.name, own.dataset.split, own.dataset.seed) == ("news", Split.dev, 7)
    assert (own.dataset.n_texts, own.dataset.tokens_per_text) == (N_TEXTS, 128)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["analysis=consistency", "analysis.minimum_iou=1"], r"minimum_iou is 1\.0"),
        (["analysis=consistency", "analysis.n_components=0"], "n_components is 0"),
        (["analysis=consistency", "analysis.null_draws=18"], "null_draws is 18, must be at least 19"),
        (["analysis=consistency", "analysis.rotations=18"], "rotations is 18"),
        (["analysis=consistency", "analysis.dataset.n_texts=1"], r"dataset\.n_texts is 1"),
        (
            ["analysis=overlap", "analysis.other=x", "analysis.null_draws=18"],
            "null_draws is 18, must be at least 19",
        ),
        (["analysis=connectivity", "analysis.draws=0"], r"analysis\.draws is 0"),
        (["analysis=order", "analysis.draws=3"], r"analysis\.draws is 3, must be at least 19: fewer"),
        (["analysis=order", "analysis.orders=[]"], "orders is .., must name at least one number"),
        (["analysis=order", "analysis.orders=[5,0]"], r"analysis\.orders is 0"),
        (["analysis=order", "analysis.splits=0"], r"analysis\.splits is 0"),
        (["analysis=keystones", "analysis.n_neurons=0"], r"analysis\.n_neurons is 0"),
        (["analysis=keystones", "analysis.minimum_nats=0"], r"analysis\.minimum_nats is 0"),
        (["analysis=keystones", "analysis.batch_tokens=0"], r"analysis\.batch_tokens is 0"),
        (["analysis=keystones", "analysis.dataset.min_tokens=1"], r"min_tokens is 1, must be at least 2"),
        (["analysis=overlap", "analysis.other=/nowhere"], "/nowhere holds no networks"),
    ],
)
def test_measures_refuse_what_is_out_of_range(overrides, said):
    with pytest.raises(FbnError, match=said):
        analysis(*overrides)
