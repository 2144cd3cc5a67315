"""A refitted probe finds what is planted in states, at a fitted penalty, and nothing where nothing is."""

import numpy as np
import pytest
import torch
from torch import nn

from fbn_exp.benchmarks.classification import Classification
from fbn_exp.benchmarks.labelled.state_probe import last_states, of_last_tokens, refitted_answers
from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.datasets.files import FilesDataset
from fbn_exp.training.classifier import classifier


def planted(n, strength, seed, width=200, labels=2):
    """States of which one direction for each label tells it; there are more dimensions than states."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % labels
    states = rng.normal(size=(n, width))
    states[np.arange(n), truth] += strength
    return states, truth


@pytest.mark.parametrize("labels", [2, 4])
def test_a_planted_label_is_read_from_states_that_were_moved_and_turned(labels):
    states, truth = planted(300, 8, 0, labels=labels)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(200, 200)))[0]
    moved = 100 * states @ turn + 1_000
    found = refitted_answers(moved[:150], truth[:150], moved[150:])
    assert (found == truth[150:]).mean() > 0.9


def test_nothing_is_read_where_nothing_is():
    states, truth = planted(600, 0, 1)
    found = refitted_answers(states[:200], truth[:200], states[200:])
    assert abs((found == truth[200:]).mean() - 0.5) < 0.1


def test_a_rare_label_counts_as_much_as_a_frequent_one():
    states, truth = planted(600, 2.5, 2, width=20)
    kept = (truth == 1) | (np.arange(600) % 10 == 0)
    found = refitted_answers(states[kept][:200], truth[kept][:200], states[300:])
    shares = [(found[truth[300:] == label] == label).mean() for label in (0, 1)]
    assert min(shares) > 0.8


def test_broken_states_are_not_answered_for():
    states, truth = planted(100, 5, 3)
    broken = states.copy()
    broken[[0, 7]] = np.nan
    found = refitted_answers(broken, truth, broken)
    assert (found[[0, 7]] == -1).all()
    assert (np.delete(found, [0, 7]) >= 0).all()
    assert (refitted_answers(np.full_like(states, np.inf), truth, states) == -1).all()


def test_the_state_of_the_last_token_is_kept_whatever_the_padding():
    body = nn.Identity()
    states = torch.arange(24.0).view(2, 3, 4)
    with last_states(body) as passed:
        body((states,))
    body((states,))
    (found,) = passed
    assert of_last_tokens(found, [3, 2]).tolist() == [[8, 9, 10, 11], [16, 17, 18, 19]]


@pytest.fixture
def marked(tmp_path):
    """Texts that end in a mark that tells the label: random weights carry it to the last state."""
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("abcdefgh"), size=12)) + "-+"[number % 2] for number in range(200)]
    path = tmp_path / "marked.jsonl"
    path.write_text(
        "".join(f'{{"text": "{row}", "label": "{"down" if row[-1] == "-" else "up"}"}}\n' for row in rows)
    )
    return FilesDataset([str(path)], label_field="label", split="test", n_texts=30, min_tokens=2)


def test_a_probe_reads_what_an_untrained_head_does_not(tiny_model, marked):
    lm = classifier(tiny_model, ["down", "up"], seed=0)
    benchmark = Classification(marked, "{text}", probe_texts=30)
    benchmark.prepare(lm)
    scores = {score.metric: score for score in benchmark.score(lm)}
    assert {score.name for score in scores.values()} <= set(benchmark.score_names())
    probe = scores["probe_balanced_acc"]
    assert probe.value == 1
    assert (probe.n, probe.chance) == (30, 0.5)
    assert scores["balanced_acc"].value < 0.9
    assert not benchmark.fitted.text_digests & benchmark.texts.text_digests
    assert benchmark.fitted.text_digests < benchmark.text_digests()


def test_without_a_probe_nothing_is_fitted_and_the_key_stays(tiny_model, marked):
    lm = classifier(tiny_model, ["down", "up"], seed=0)
    plain, probed = Classification(marked, "{text}"), Classification(marked, "{text}", probe_texts=30)
    for benchmark in (plain, probed):
        benchmark.prepare(lm)
    assert {**plain.key(), "probe": probed.key()["probe"]} == probed.key()
    assert "probe_balanced_acc" not in {score.metric for score in plain.score(lm)}
    assert probed.forward_tokens() > plain.forward_tokens()


def test_a_probe_without_a_head_or_with_too_few_texts_is_refused(tiny_model, marked):
    with pytest.raises(BenchmarkError, match="classification head"):
        Classification(marked, "{text}", probe_texts=30).prepare(tiny_model)
    lm = classifier(tiny_model, ["down", "up"], seed=0)
    with pytest.raises(BenchmarkError, match="fewer than two"):
        Classification(marked, "{text}", probe_texts=2).prepare(lm)
    with pytest.raises(ConfigError, match="probe_texts"):
        Classification(marked, "{text}", probe_texts=-1)
