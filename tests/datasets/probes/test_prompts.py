import pytest

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.probes.config import Probe
from fbn_exp.datasets.probes.prompts import PROBES, ProbePrompts


def texts_of(split, *probes):
    return [document.text for document in ProbePrompts(probes=list(probes), split=split).documents()]


def test_there_is_a_generator_for_every_probe():
    assert list(PROBES) == list(Probe)


def test_prompts_are_labelled_with_their_probe():
    documents = list(ProbePrompts(probes=["copying", "recall"]).documents())
    assert {document.label for document in documents} == {"copying", "recall"}
    assert ProbePrompts(probes=["copying"]).known_labels == ("copying",)
    assert len(ProbePrompts().known_labels) == 7


def test_train_and_dev_divide_the_dev_half_and_leave_what_is_scored_alone(probe, drawn):
    train, dev, test = (texts_of(split, probe) for split in (Split.train, Split.dev, Split.test))
    assert {*train, *dev} == {item.text for item in drawn(probe, "dev")}
    assert set(train).isdisjoint(dev)
    assert {*train, *dev}.isdisjoint(item.text for item in drawn(probe, "test"))
    assert set(test) == {item.text for item in drawn(probe, "test")}
    assert len(train) > 250 > 100 > len(dev) > 50


def test_an_unknown_probe_is_refused():
    with pytest.raises(ConfigError, match=r"dataset\.probes is 'french', must be one of grammar"):
        ProbePrompts(probes=["french"])
