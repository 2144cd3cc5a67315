from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.datasets.config import Split
from fbn_exp.datasets.splits import in_split, split_of

PARTS = (Split.train, Split.dev, Split.test)


@given(st.text())
def test_every_text_is_in_exactly_one_part_and_in_all(text):
    assert sum(in_split(text, part) for part in PARTS) == 1
    assert in_split(text, Split.all)


def test_parts_are_the_same_on_every_machine():
    assert [split_of(text).value for text in ("", "b", "e", "f", "Zürich", "\ud800")] == [
        "train",
        "dev",
        "train",
        "train",
        "train",
        "train",
    ]


def test_parts_have_the_stated_sizes():
    counts = Counter(split_of(f"text {index}") for index in range(10_000))
    assert [round(counts[part] / 10_000, 1) for part in PARTS] == [0.6, 0.2, 0.2]
