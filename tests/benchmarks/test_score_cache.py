import json
import math
import multiprocessing
import struct
import time

import numpy as np
import pytest
from hostile import altered, damaged
from hypothesis import example, given
from hypothesis import strategies as st

from fbn_exp.benchmarks.cache import ScoreCache, digest
from fbn_exp.benchmarks.score import Score, mean_score

KEY = {"weights": "abc", "benchmark": {"name": "grammar", "limit": 100}, "edit": None}
ITEMS = np.array([0.1, 1 / 3, 5e-324, -0.0, 1e100, math.pi])
SCORES = [
    mean_score("grammar", "accuracy", ITEMS[:3], higher_is_better=True, chance=0.5),
    mean_score("text", "nats", ITEMS, higher_is_better=False, weights=np.arange(1.0, 7.0)),
    mean_score("text", "written", ITEMS[:2], higher_is_better=True, texts=("naïve\n", "")),
    Score("translation", "bleu", 31.7, 0.1 + 0.2, 2000, True),
    mean_score("broken", "nats", np.array([math.nan, math.inf, 1.0]), higher_is_better=False),
    mean_score("tweets", "acc", ITEMS[:3], higher_is_better=True, strata=np.array([0, 1, 0])),
    mean_score("tales", "kl", ITEMS[:2], higher_is_better=False, from_untouched=True),
]


def compute():
    return list(SCORES)


def must_not_compute():
    pytest.fail("the entry is there")


def bits(value):
    """Everything that a score holds, floats by their bytes: NaN equals itself, 0.0 is not -0.0."""
    if isinstance(value, Score):
        return {name: bits(each) for name, each in vars(value).items()}
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    return struct.pack("d", value) if isinstance(value, float) else (type(value), value)


def filled(folder, key=KEY):
    """Cache with one entry, and its file."""
    cache = ScoreCache(folder)
    cache.scores(key, compute)
    return cache, folder / f"{digest(key)}.json"


def entries(folder):
    return [each.name for each in folder.iterdir() if each.suffix != ".lock"]


def test_a_second_request_gives_the_same_bits_without_computing(tmp_path):
    first = ScoreCache(tmp_path)
    computed = first.scores(KEY, compute)
    again = ScoreCache(tmp_path)
    found = again.scores(dict(reversed(KEY.items())), must_not_compute)
    assert (
        [bits(each) for each in found] == [bits(each) for each in computed] == [bits(each) for each in SCORES]
    )
    assert (first.hits, first.misses, again.hits, again.misses) == (0, 1, 1, 0)
    assert entries(tmp_path) == [f"{digest(KEY)}.json"]


@given(
    items=st.lists(st.floats(), min_size=1, max_size=5),
    texts=st.none() | st.lists(st.text(), max_size=3).map(tuple),
    chance=st.none() | st.floats(),
)
def test_any_score_survives_bit_for_bit(tmp_path_factory, items, texts, chance):
    # one NaN has many bit patterns, of which only the usual one is a number in json
    items = np.array([math.nan if math.isnan(each) else each for each in items])
    with np.errstate(all="ignore"):
        value = float(np.average(items))
    score = Score("task", "metric", value, 0.0, len(items), True, items, None, chance, texts)
    folder = tmp_path_factory.mktemp("cache")
    ScoreCache(folder).scores({}, lambda: [score])
    (found,) = ScoreCache(folder).scores({}, must_not_compute)
    if chance is None or not math.isnan(chance):
        assert bits(found) == bits(score)


def valid(**changes):
    """An entry whose digest fits its content, whatever that is."""
    scores = [{**vars(SCORES[3]), **changes}]
    return json.dumps({"key": KEY, "scores": scores, "sha256": digest({"scores": scores})}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"3",
        b"[" * 100_000,
        b'{"scores": []}',
        json.dumps({"key": KEY}).encode(),
        json.dumps({"key": KEY, "scores": []}).encode(),
        json.dumps({"key": KEY, "scores": {}}).encode(),
        json.dumps({"key": KEY, "scores": None}).encode(),
        json.dumps({"key": KEY, "scores": [{"task": "grammar"}]}).encode(),
        json.dumps({"key": KEY, "scores": ["grammar"]}).encode(),
        json.dumps({"key": [1], "scores": []}).encode(),
        valid(items=["a"] * 2000),
        valid(items=[1.0]),
        valid(items=[[1.0]] * 2000),
        valid(weights=3.0),
        valid(texts=7),
        valid(n=True),
        valid(value="31.7"),
        valid(higher_is_better="True"),
        valid(n=2, items=[1.0, 2.0], value=3.0),
        valid(n=2, items=[1.0, 2.0], value=math.nan),
        valid(n=2, items=[1.0, 2.0], weights=[1.0, 3.0], value=1.5),
        valid(n=2, strata=[1]),
        valid(n=2, strata=["a", "b"]),
    ],
)
def test_broken_and_foreign_entries_are_computed_again(tmp_path, content):
    _, file = filled(tmp_path)
    file.write_bytes(content)
    cache = ScoreCache(tmp_path)
    assert [bits(each) for each in cache.scores(KEY, compute)] == [bits(each) for each in SCORES]
    assert (cache.hits, cache.misses) == (0, 1)
    cache.scores(KEY, must_not_compute)


@pytest.mark.parametrize(
    ("old", "new"), [("31.7", "63.4"), ("0.1,", "0.7,"), ('"value": 31.7', '"value": NaN')]
)
def test_one_changed_number_is_noticed_and_the_file_named(tmp_path, caplog, old, new):
    _, file = filled(tmp_path)
    whole = file.read_text()
    assert old in whole
    file.write_text(whole.replace(old, new, 1))
    cache = ScoreCache(tmp_path)
    assert [bits(each) for each in cache.scores(KEY, compute)] == [bits(each) for each in SCORES]
    assert f"{file} is damaged, its scores are computed again" in caplog.text
    assert file.read_text() == whole


def test_the_entry_in_the_last_test_would_be_read_if_it_were_whole(tmp_path):
    _, file = filled(tmp_path)
    file.write_bytes(valid())
    (found,) = ScoreCache(tmp_path).scores(KEY, must_not_compute)
    assert bits(found) == bits(SCORES[3])


def test_entries_cut_anywhere_are_computed_again(tmp_path):
    _, file = filled(tmp_path)
    whole = file.read_bytes().rstrip()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        cache = ScoreCache(tmp_path)
        cache.scores(KEY, compute)
        assert cache.misses == 1
        assert file.read_bytes().rstrip() == whole


def test_an_entry_under_the_name_of_another_key_is_computed_again(tmp_path):
    _, file = filled(tmp_path)
    other = KEY | {"weights": "abd"}
    file.rename(tmp_path / f"{digest(other)}.json")
    cache = ScoreCache(tmp_path)
    cache.scores(other, compute)
    assert cache.misses == 1


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(one=st.dictionaries(st.text(), plain, max_size=3), other=st.dictionaries(st.text(), plain, max_size=3))
def test_keys_share_a_digest_only_if_they_are_the_same_json(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) == same
    assert digest(one) == digest(json.loads(json.dumps(one)))


def test_other_keys_have_entries_of_their_own(tmp_path):
    keys = [
        KEY,
        KEY | {"edit": "x"},
        KEY | {"weights": "abd"},
        KEY | {"benchmark": {"name": "grammar", "limit": 10}},
    ]
    cache = ScoreCache(tmp_path)
    for place, key in enumerate(keys):
        cache.scores(key, lambda place=place: [SCORES[place]])
    for place, key in enumerate(keys):
        (found,) = cache.scores(key, must_not_compute)
        assert bits(found) == bits(SCORES[place])
    assert (cache.hits, cache.misses) == (4, 4)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_computation_that_fails_leaves_no_entry_and_no_lock_held(tmp_path, error):
    def refuse():
        raise error("no")

    cache = ScoreCache(tmp_path / "scores")
    with pytest.raises(error):
        cache.scores(KEY, refuse)
    assert entries(tmp_path / "scores") == []
    assert len(cache.scores(KEY, compute)) == len(SCORES)


def request(folder, log, barrier):
    """Run in another process: ask for an entry, and note it if it has to be computed."""

    def slowly():
        with log.open("a") as opened:
            opened.write("computed\n")
        time.sleep(0.5)
        return list(SCORES)

    barrier.wait(timeout=60)
    assert len(ScoreCache(folder).scores(KEY, slowly)) == len(SCORES)


def test_two_processes_that_want_the_same_entry_compute_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, log = context.Barrier(2), tmp_path / "log"
    processes = [context.Process(target=request, args=(tmp_path / "scores", log, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "computed\n"


@given(data=st.data())
def test_whatever_an_entry_holds_the_scores_are_those_that_were_computed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzzed")
    _, file = filled(folder)
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    found = ScoreCache(folder).scores(KEY, compute)
    assert [bits(each) for each in found] == [bits(each) for each in SCORES]


SIMPLE = [
    json.loads(valid(items=[1.0, 3.0], weights=[1.0, 1.0], n=2, value=2.0, texts=["a", "b"]))["scores"][0]
]


@given(scores=altered(SIMPLE))
@example(scores=[SIMPLE[0] | {"weights": [0.0, 0.0]}])
@example(scores=[SIMPLE[0] | {"weights": [1.0, -1.0]}])
@example(scores=[SIMPLE[0] | {"items": [10**400, 1]}])
@example(scores=[SIMPLE[0] | {"task": 3}])
@example(scores=[SIMPLE[0] | {"chance": []}])
def test_an_entry_whose_digest_fits_is_used_only_if_every_field_has_its_type(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("fuzzed")
    _, file = filled(folder)
    file.write_text(json.dumps({"key": KEY, "scores": scores, "sha256": digest({"scores": scores})}))
    for each in ScoreCache(folder).scores(KEY, compute):
        assert isinstance(each.name, str)
        assert isinstance(each.chance, float | int | None)
        assert each.items is None or each.items.shape == (each.n,)
        assert all(isinstance(text, str) for text in each.texts or ())


def test_an_entry_of_a_version_without_the_later_fields_is_used(tmp_path):
    _, file = filled(tmp_path)
    entry = json.loads(file.read_text())
    for score in entry["scores"]:
        del score["strata"], score["from_untouched"]
    entry["sha256"] = digest({"scores": entry["scores"]})
    file.write_text(json.dumps(entry))
    found = ScoreCache(tmp_path).scores(KEY, must_not_compute)
    assert all(score.strata is None and not score.from_untouched for score in found)
