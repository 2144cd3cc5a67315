"""Texts that a task trains on."""

from collections import Counter
from dataclasses import replace

from fbn_exp.datasets.config import Split
from fbn_exp.training.tasks import ClassificationTask


def labels_of(prepared):
    return Counter(prepared.lm.labels[each["label"]] for each in prepared.examples)


def test_a_balanced_task_has_as_many_texts_of_each_label_and_scores_all(tiny_model, separable):
    usual, balanced = (
        ClassificationTask(dev_texts=20, test_texts=20, balanced=each).prepare(tiny_model, separable)
        for each in (False, True)
    )
    assert labels_of(usual)["up"] > 3 * labels_of(usual)["down"]
    assert labels_of(balanced) == dict.fromkeys(("down", "up"), labels_of(usual)["down"])
    assert len(balanced.texts) == len(balanced.examples)
    assert balanced.texts.digest != usual.texts.digest
    assert balanced.test.key() == usual.test.key()
    # the same ones for more training texts of the others
    fewer = ClassificationTask(balanced=True).prepare(tiny_model, replace(separable, split=Split.train))
    assert fewer.texts.ids == balanced.texts.ids
