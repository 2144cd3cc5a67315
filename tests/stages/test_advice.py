"""Messages for configs that cannot be used say what to write instead."""

import sys

import pytest
from hydra.errors import HydraException
from in_process import composed

from fbn_exp.stages.scripts.advice import explain, torn_list


@pytest.mark.parametrize(
    ("script", "override", "home"),
    [
        ("extract", "benchmark=probes", "benchmark belongs to evaluate.py"),
        ("extract", "benchmark.limit=2", "benchmark belongs to evaluate.py"),
        ("extract", "intervention.factor=2", "intervention belongs to evaluate.py and train.py"),
        ("evaluate", "trainer.max_steps=2", "trainer belongs to train.py"),
        ("train", "method=pca", "method belongs to extract.py, evaluate.py and prune.py"),
    ],
)
def test_a_part_of_another_script_is_named_with_that_script(script, override, home, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", override])
    with pytest.raises(HydraException) as caught:
        composed(override, script=script)
    assert explain(caught.value) == home


@pytest.mark.parametrize(
    ("script", "override", "advice"),
    [
        ("extract", "networks=user/name", "networks.push=user/name pushes them"),
        ("evaluate", "networks.push=user/name", "extract.py alone pushes networks"),
        ("evaluate", "networks.revision=v1", "networks=user/name@revision"),
    ],
)
def test_networks_that_are_named_in_the_way_of_another_script_are_explained(script, override, advice):
    with pytest.raises(HydraException) as caught:
        composed(override, script=script)
    assert advice in explain(caught.value)


def test_an_installed_script_is_named_as_it_is_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fbn-extract", "benchmark=probes"])
    with pytest.raises(HydraException) as caught:
        composed("benchmark=probes")
    assert explain(caught.value) == "benchmark belongs to fbn-evaluate"


def test_a_list_that_the_shell_has_split_needs_quotes(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "intervention.networks=[0,", "1]"])
    with pytest.raises(HydraException) as caught:
        composed("intervention.networks=[0,", "1]", script="evaluate")
    assert "put it in quotes, 'intervention.networks=[0, 1]'" in explain(caught.value)
    assert torn_list(["seed=1", "method=pca"]) is None
    assert torn_list(["method=[pca", "seed=1"]) is None


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("intervention.networks=[0,1", "intervention.networks=[0,1: the list is not closed: "),
        (
            "intervention.networks=0,1]",
            "intervention.networks=0,1]: brackets do not match: lists are written",
        ),
        ("seed=1,", "seed=1, cannot be read to its end: a text with characters such as ="),
        ("model.name=a=b", "model.name=a=b cannot be read at '=': a text with characters"),
        ("model.name='a", "model.name='a: a quote is not closed"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_the_way_to_write_it(override, advice, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "model=tiny", override])
    with pytest.raises(HydraException) as caught:
        composed("model=tiny", override, script="evaluate")
    assert explain(caught.value).startswith(advice)


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        (
            "method/contrasts=[french]",
            "there is no method/contrasts=french; there are: code, files, labels, lang",
        ),
        ("method.contrasts=[language]", "chosen with a slash: method/contrasts="),
        (
            "dataset=wiki",
            "leave dataset= out, or compare the labels of your data set with method/contrasts=lab",
        ),
    ],
)
def test_contrasts_that_cannot_be_chosen_so_are_explained(override, advice):
    with pytest.raises(HydraException) as caught:
        composed("method=localizer", override)
    assert advice in explain(caught.value)
