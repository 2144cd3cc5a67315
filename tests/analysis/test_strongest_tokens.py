import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.analysis.tokens import strongest_tokens
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, RowNorms
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.signals.base import Signals

SENTENCES = ("the cat sat on the mat", "a dog", "it rained in Zürich")
COLUMNS = ["network", "rank", "strength", "token", "before", "after", "text", "position", "origin"]


@pytest.fixture(scope="module")
def lm():
    sizes = {
        "vocab_size": 259,
        "hidden_size": 4,
        "intermediate_size": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    return LanguageModel(random_model("llama", sizes), byte_tokenizer(), ModelConfig(name="tiny"), None)


def signals_of(sentences, lm: LanguageModel, excluded: int) -> Signals:
    items = [
        TokenisedText(tuple(lm.tokenizer(sentence)["input_ids"]), Document(sentence, f"line {number}"))
        for number, sentence in enumerate(sentences, 1)
    ]
    texts = Texts(tuple(items))
    rows = sum(max(0, length - excluded) for length in texts.lengths)
    empty = torch.zeros(0)
    return Signals(
        torch.zeros(rows, 1),
        NeuronLayout.of(Site.mlp_output, ["a"], [1]),
        texts,
        excluded,
        NeuronStatistics(empty, empty, empty),
        RowNorms(0, 0, 0, 0),
        1,
    )


def plant(signals: Signals, strengths: dict[tuple[int, int, int], float], n_networks: int) -> torch.Tensor:
    """Time courses that are small but at (network, text, position)."""
    text, position = signals.rows.text, signals.rows.position
    courses = 0.01 * torch.rand(len(text), n_networks, generator=torch.Generator().manual_seed(0)).double()
    for (network, *place), strength in strengths.items():
        row = [list(each) for each in zip(text, position, strict=True)].index(place)
        courses[row, network] = strength
    return courses


@pytest.mark.parametrize("excluded", [0, 2, 6])
def test_planted_tokens_are_found_in_their_context_with_their_sign(lm, excluded):
    signals = signals_of(SENTENCES, lm, excluded)
    strengths = {(0, 0, 8): 3.0, (0, 2, 7): -4.0, (0, 2, 18): 2.0, (1, 0, 21): -1.5}
    found = strongest_tokens(lm, signals, plant(signals, strengths, 2), count=3, context=4)
    assert list(found.columns) == COLUMNS
    assert found["network"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    tops = found.drop(columns=["network", "rank"]).iloc[:4].values.tolist()
    assert tops == [
        [-4.0, "e", "rain", "d in", 2, 7, "line 3"],
        [3.0, "s", "cat ", "at o", 0, 8, "line 1"],
        [2.0, "c", "üri", "h", 2, 18, "line 3"],
        [-1.5, "t", "e ma", "", 0, 21, "line 1"],
    ]


def test_a_token_at_the_edge_of_its_text_has_no_context_from_its_neighbours(lm):
    signals = signals_of(SENTENCES, lm, 0)
    strengths = {(0, 1, 0): 9.0, (1, 1, 1): 9.0, (2, 1, 4): 9.0}
    for context in (4, 100):
        found = strongest_tokens(lm, signals, plant(signals, strengths, 3), count=1, context=context)
        cut = found[["before", "token", "after"]].values.tolist()
        assert cut == [["", "a", " dog"], ["a", " ", "dog"], ["a do", "g", ""]]


def test_no_context_can_be_asked_for(lm):
    signals = signals_of(SENTENCES, lm, 0)
    found = strongest_tokens(lm, signals, plant(signals, {(0, 0, 4): 9.0}, 1), count=1, context=0)
    assert found[["token", "before", "after"]].values.tolist() == [["c", "", ""]]


@pytest.mark.parametrize("count", [0, 1, 1_000])
def test_there_are_as_many_rows_as_asked_for_or_as_there_are_tokens(lm, count):
    signals = signals_of(SENTENCES, lm, 0)
    found = strongest_tokens(lm, signals, plant(signals, {}, 2), count=count, context=2)
    assert list(found.columns) == COLUMNS
    assert len(found) == 2 * min(count, signals.values.shape[0])


@given(st.lists(st.integers(-3, 3), min_size=5, max_size=5))
def test_strength_falls_in_magnitude_and_equals_are_in_the_order_of_the_texts(lm, course):
    found = strongest_tokens(lm, signals_of(SENTENCES[1:2], lm, 0), torch.tensor([course]).double().T, 5, 1)
    expected = sorted(range(5), key=lambda place: (-abs(course[place]), place))
    assert found["position"].tolist() == expected
    assert found["strength"].tolist() == [course[place] for place in expected]
