import math

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import Words, world

from fbn_exp.analysis.drivers import (
    NONE,
    correlation,
    driver_sign,
    drivers,
    energy_at,
    explained_by,
    massive_neurons,
)
from fbn_exp.analysis.tokens import corpus, is_punctuation, token_features, token_pieces
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, neuron_statistics

RARE = [f" rare{number}" for number in range(60)]


def sample(n_texts=20, length=30, seed=0):
    """Texts of common words, rare words, punctuation, digits and newlines."""
    rng = np.random.default_rng(seed)
    common = [" the", " of", " and", " cat", ",", ".", "7", "\n", *RARE]
    weights = np.array([8, 6, 6, 6, 4, 4, 3, 2, *[0.1] * len(RARE)])
    chosen = rng.choice(len(common), size=(n_texts, length), p=weights / weights.sum())
    return [[common[each] for each in row] for row in chosen]


def labels_of(made, *columns):
    masks = torch.zeros(len(columns), made.signals.layout.n_neurons, dtype=torch.bool)
    return drivers(made.lm, made.signals, made.courses(*columns), masks).table


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(1)
    return lambda n: rng.normal(size=n)


def test_planted_drivers_are_named(noise):
    made = world(sample(), labels=["news", "code"] * 10)
    features = token_features(made.lm, made.signals)
    numbers, n = features.numbers, len(features.text)
    first = numbers["first_token"]
    spike = np.where(np.arange(n) % 211 == 100, 40.0, 0) + 0.1 * noise(n)
    planted = {
        "first token only": first + 0.02 * noise(n),
        "first token": first + 0.2 * noise(n),
        "position": numbers["position"] + 5 * noise(n),
        "punctuation": -numbers["punctuation"] + 0.3 * noise(n),
        "digits": numbers["digit"] + 0.2 * noise(n),
        "newlines": numbers["newline"] + 0.1 * noise(n),
        "rare tokens": -numbers["log_frequency"] + 0.3 * noise(n),
        "corpus": (features.domain == 0) + 0.5 * noise(n),
        "few tokens": spike,
        NONE: noise(n),
    }
    table = labels_of(made, *planted.values())
    assert table["label"].tolist() == list(planted)
    assert table["domain"][7] in ("code", "news")
    assert abs(table["driver_domain"][7]) > 0.5


def test_a_network_at_first_tokens_alone_is_one_whatever_their_signs(noise):
    made = world(sample())
    text, position = made.signals.rows.text, made.signals.rows.position
    signs = np.where((position == 0) & (text % 2 == 0), 30.0, np.where(position == 0, -30.0, 0))
    table = labels_of(made, signs + noise(len(text)))
    assert abs(table["driver_first_token"][0]) < 0.05
    assert table["label"][0] == "first token only"


def test_a_position_that_is_not_the_first_is_a_position_effect(noise):
    made = world(sample())
    position = made.signals.rows.position
    table = labels_of(made, (position == 3) + 0.05 * noise(len(position)))
    assert abs(table["driver_position"][0]) < 0.3
    assert table["driver_position_any"][0] > 0.8
    assert table["label"][0] == "position"


def test_one_frequent_token_among_the_strongest_is_named(noise):
    made = world(sample())
    features = token_features(made.lm, made.signals)
    cats = np.array(
        [features.pieces[t][p] == " cat" for t, p in zip(features.text, features.position, strict=True)]
    )
    chosen = cats & (np.cumsum(cats) % 10 == 0)
    table = labels_of(made, 3.0 * chosen + 0.8 * noise(len(cats)))
    assert (table["label"][0], table["top_token"][0]) == ("one token", " cat")


def test_what_is_the_same_for_every_token_does_not_apply(noise):
    made = world(sample(), excluded=1)
    table = labels_of(made, noise(len(made.signals.values)))
    for name in ("driver_first_token", "first_token_energy", "driver_domain"):
        assert math.isnan(table[name][0])
    assert table["domain"][0] == ""
    assert not math.isnan(table["driver_position"][0])


def test_measures_match_a_case_computed_by_hand():
    courses = np.array([[1.0], [2.0], [3.0], [6.0]])
    # deviations -2 -1 0 3 (sum of squares 14) with -1 -1 1 1 halves: (2 + 1 + 0 + 3) / 2 / sqrt(14 · 1)
    assert correlation(courses, np.array([0.0, 0, 1, 1])) == pytest.approx([3 / math.sqrt(14)])
    # between groups 2 · 1.5² · 2 = 9 of 14; epsilon² = 1 - (5 / 2) / (14 / 3)
    assert explained_by(courses, np.array([0, 0, 1, 1])) == pytest.approx([1 - 2.5 * 3 / 14])
    assert energy_at(courses, np.array([0.0, 0, 0, 1])) == pytest.approx([9 / 14])
    constant = np.ones((4, 1))
    assert np.isnan([correlation(constant, courses[:, 0]), correlation(courses, constant[:, 0])]).all()
    assert np.isnan(explained_by(courses, np.zeros(4, dtype=np.int64))).all()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_kurtosis_is_in_excess_of_that_of_a_normal_and_nan_of_an_empty_network(noise):
    made = world(sample())
    n = len(made.signals.values)
    courses = made.courses(np.where(np.arange(n) % 2, 1.0, -1.0), noise(n))
    courses = torch.cat([courses, torch.zeros(n, 1).double()], dim=1)
    masks = torch.zeros(3, made.signals.layout.n_neurons, dtype=torch.bool)
    two_values, normal, empty = drivers(made.lm, made.signals, courses, masks).table["kurtosis"]
    assert two_values == pytest.approx(-2, abs=1e-3)
    assert abs(normal) < 0.5
    assert math.isnan(empty)


def test_as_many_groups_as_chance_would_have_explain_nothing(noise):
    groups = np.repeat(np.arange(200), 5)
    assert explained_by(noise(1_000)[:, None], groups)[0] < 0.1


def test_frequency_is_counted_within_the_sample_also_in_tokens_without_a_row():
    made = world([["a", "b", "a"], ["a", "c"]], excluded=1)
    found = token_features(made.lm, made.signals).numbers["log_frequency"]
    np.testing.assert_allclose(np.exp(found), [1, 3, 1])


def test_massive_neurons_exceed_a_hundred_and_a_thousand_times_their_block():
    layout = NeuronLayout.of(Site.mlp_output, ["a", "b"], [3, 3])
    typical = torch.tensor([0.05, 0.05, 9, 1, 1, 1], dtype=torch.float64)
    largest = torch.tensor([90, 110, 0, 900, 1_100, 1], dtype=torch.float64)
    found = massive_neurons(NeuronStatistics(typical, typical, typical, largest), layout)
    assert found.tolist() == [False, True, False, False, True, False]
    assert massive_neurons(NeuronStatistics(typical, typical, typical), layout) is None


def test_the_share_of_massive_members_is_of_each_network():
    made = world(sample(n_texts=3))
    made.signals.neurons.largest[:2] = 5_000
    masks = torch.zeros(3, 12, dtype=torch.bool)
    masks[0, :4] = masks[1, 6:] = True
    courses = made.courses(*np.random.default_rng(0).normal(size=(3, len(made.signals.values))))
    shares = drivers(made.lm, made.signals, courses, masks).table["massive_share"]
    assert shares[:2].tolist() == [0.5, 0.0]
    assert math.isnan(shares[2])


def test_the_largest_magnitude_of_every_neuron_is_recorded_over_chunks(monkeypatch):
    monkeypatch.setattr("fbn_exp.core.moments.CHUNK_VALUES", 8)
    values = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(neuron_statistics(values).largest, values.abs().amax(dim=0).double())


def test_texts_are_ranked_by_the_energy_of_their_tokens():
    made = world([["a"] * 4, ["b"] * 9, ["c"] * 4])
    text = made.signals.rows.text
    courses = torch.from_numpy(np.array([1.0, 0.5, -3.0])[text][:, None])
    masks = torch.zeros(1, 12, dtype=torch.bool)
    found = drivers(made.lm, made.signals, courses, masks).texts
    assert found["text"].tolist() == [2, 0, 1]
    assert found["root_mean_square"].tolist() == [3.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("piece", "expected"),
    [(" ,", True), ("...", True), ("$", True), ("", False), (" ", False), (".a", False)],
)
def test_punctuation_is_nothing_but_punctuation(piece, expected):
    assert is_punctuation(piece) is expected


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("wikipedia_5.jsonl line 12", "wikipedia_5.jsonl"),
        ("gsm_symbolic seed 0 item 3", "gsm_symbolic seed 0"),
        ("my.csv row 3 (line 4)", "my.csv"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_the_corpus_is_the_origin_without_its_place(origin, name):
    assert corpus(origin) == name


def test_pieces_join_to_the_text_and_broken_characters_belong_to_their_last_token(tiny_model):
    text = "Zürich — 東京 ok\n"
    ids = tiny_model.tokenizer(text)["input_ids"]
    pieces = token_pieces(tiny_model.tokenizer, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == tiny_model.tokenizer.decode(ids)
    assert [piece for piece in pieces if piece == "東"] == ["東"]
    assert token_pieces(Words(["a", " b"]), [0, 1, 1]) == ["a", " b", " b"]


def test_the_sign_of_a_driver_is_that_of_the_time_course_there(noise):
    made = world(sample(), labels=["news", "code"] * 10)
    features = token_features(made.lm, made.signals)
    numbers, n = features.numbers, len(features.text)
    spike = np.where(np.arange(n) % 211 == 100, 40.0, 0)
    planted = {
        "first token only": numbers["first_token"] + 0.02 * noise(n),
        "position": numbers["position"] + 5 * noise(n),
        "punctuation": numbers["punctuation"] + 0.3 * noise(n),
        "digits": numbers["digit"] + 0.2 * noise(n),
        "newlines": numbers["newline"] + 0.1 * noise(n),
        "rare tokens": -numbers["log_frequency"] + 0.3 * noise(n),
        "few tokens": spike + 0.1 * noise(n),
    }
    for sign in (1, -1):
        table = labels_of(made, *(sign * course for course in planted.values()))
        assert table["label"].tolist() == list(planted)
        assert table["driver_sign"].tolist() == [sign] * len(planted)


def test_a_time_course_that_is_now_high_and_now_low_there_has_no_sign(noise):
    made = world(sample())
    text, position = made.signals.rows.text, made.signals.rows.position
    alternating = np.where(position == 0, np.where(text % 2, 1.0, -1.0), 0.0)
    hill = (position == 3) * 1.0
    table = labels_of(made, alternating + 0.01 * noise(len(text)), hill + 0.05 * noise(len(text)))
    assert table["label"].tolist() == ["first token only", "position"]
    assert table["driver_sign"].tolist() == [0, 0]


@pytest.mark.parametrize(("balance", "sign"), [(1, 1), (-0.5, -1), (0.49, 0), (math.nan, 0)])
def test_strongest_tokens_of_either_sign_have_none(balance, sign):
    features = dict.fromkeys(("driver_first_token", "driver_position"), math.nan)
    for label in (NONE, "one token", "few tokens"):
        row = pd.Series({"label": label, "strongest_balance": balance, **features})
        assert driver_sign(row) == sign
