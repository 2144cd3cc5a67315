"""Seeded items of a probe, divided into disjoint dev and test halves."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fbn_exp.core.errors import ConfigError, DatasetError

Half = Literal["dev", "test"]
TRIES = 5_000
"""Number of draws in a row without a new item after which a probe counts as exhausted."""


@dataclass(frozen=True)
class Draft:
    """Draw of a probe: a context and the continuations to choose from.

    Attributes
    ----------
    key : str
        Identity of the item, such as the sum that is asked for; determines its half.
    kind : str
        Phenomenon within the probe.
    text : str
        Context, without a trailing space.
    answer : str
        Correct continuation, with its leading space where it has one.
    distractors : tuple of str
        Wrong continuations.
    """

    key: str
    kind: str
    text: str
    answer: str
    distractors: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """Multiple-choice item as lm-eval reads it.

    Attributes
    ----------
    text : str
        Context that all choices share.
    choices : tuple of str
        Continuations, distinct.
    gold : int
        Position of the correct one.
    kind : str
        Phenomenon within the probe.
    """

    text: str
    choices: tuple[str, ...]
    gold: int
    kind: str


Draw = Callable[[random.Random, int], Draft]
"""Function that draws an item; the index of the item lets a probe cycle through its kinds."""


def half_of(key: str) -> Half:
    """Half that a key belongs to, by its digest: independent of seed and order."""
    return "dev" if hashlib.sha256(key.encode()).digest()[0] % 2 == 0 else "test"


def generate(draw: Draw, half: Half, n_items: int, seed: int = 0) -> list[Item]:
    """Draw distinct items of one half; fewer items are always a prefix of more.

    Parameters
    ----------
    draw : callable
        A probe's ``draw``.
    half : {"dev", "test"}
        One of the two disjoint halves.
    n_items : int
        Number of items, at least 1.
    seed : int, default 0
        Seed of the draws; the halves do not depend on it.

    Returns
    -------
    list of Item
        Items in which every position holds the correct choice equally often, up to one incomplete round.

    Raises
    ------
    ConfigError
        If ``n_items`` is not positive.
    DatasetError
        If the probe has too few distinct items.
    """
    if n_items < 1:
        raise ConfigError(f"n_items of a probe is {n_items}, it must be at least 1")
    rng = random.Random(f"{seed} {half}")
    items: list[Item] = []
    seen: set[tuple[str, frozenset[str]]] = set()
    positions: list[int] = []
    while len(items) < n_items:
        draft = _new_draft(draw, rng, half, len(items), seen)
        if not positions:
            positions = rng.sample(range(1 + len(draft.distractors)), 1 + len(draft.distractors))
        items.append(_placed(draft, positions.pop()))
    return items


def _new_draft(
    draw: Draw, rng: random.Random, half: Half, index: int, seen: set[tuple[str, frozenset[str]]]
) -> Draft:
    for _ in range(TRIES):
        draft = draw(rng, index)
        identity = (draft.text, frozenset((draft.answer, *draft.distractors)))
        if half_of(draft.key) == half and identity not in seen:
            seen.add(identity)
            return draft
    raise DatasetError(f"this probe has no more than {index} distinct items in its {half} half")


def _placed(draft: Draft, position: int) -> Item:
    choices = [*draft.distractors]
    choices.insert(position, draft.answer)
    return Item(draft.text, tuple(choices), position, draft.kind)
