"""Damaged files for tests of readers: bytes and JSON values drawn by hypothesis around valid ones."""

import json
from typing import Any

from hypothesis import strategies as st

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    plain | st.sampled_from([2**70, -1, 1e308, "x" * 1000, "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of any kind, a valid file that is cut, and one with some bytes changed, missing or added."""
    place = st.integers(0, len(valid))
    edit = st.tuples(place, st.integers(0, 9), st.binary(max_size=9))
    return st.one_of(
        st.binary(max_size=300),
        place.map(lambda end: valid[:end]),
        st.lists(edit, min_size=1, max_size=4).map(lambda edits: _edited(valid, edits)),
        st.sampled_from([b"[" * 5_000, b'{"a":' * 5_000, b"1" * 5_000, b"\x00" * 100, b"\xff\xfe"]),
    )


def _edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, removed, added in edits:
        content = content[:place] + added + content[place + removed :]
    return content


def altered(valid: Any) -> st.SearchStrategy[Any]:
    """A copy of a JSON structure in which one value is another one, or missing."""
    return st.tuples(st.sampled_from(_places(valid)), values, st.booleans()).map(
        lambda drawn: _changed(json.loads(json.dumps(valid)), *drawn)
    )


def _places(value: Any) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in inner for place in [(key,), *((key, *rest) for rest in _places(each))]]


def _changed(whole: Any, place: tuple[Any, ...], value: Any, removed: bool) -> Any:
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    if removed:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return whole
