"""Code: the closing bracket or the value of a Python expression."""

import random
from collections.abc import Callable

from fbn_exp.datasets.probes.items import Draft
from fbn_exp.datasets.probes.words.nouns import ANIMALS, THINGS

Question = tuple[str, str, list[str]]
"""Start of a program, its correct continuation, and wrong ones."""

LISTS = ("items", "values", "names", "words", "numbers", "lines", "rows", "data", "files", "users", "keys")
FUNCTIONS = ("len", "sum", "max", "min", "sorted", "list", "set", "tuple", "str", "print", "any", "all")
WORDS = ANIMALS + THINGS
CLOSING = {"(": ")", "[": "]", "{": "}"}


def bracket(rng: random.Random) -> Question:
    """Closing bracket of the innermost open one: after x = [4, max(values comes )."""
    name, digit, other = rng.choice(LISTS), rng.randrange(10), rng.randrange(10)
    outer, inner, key = *rng.sample(FUNCTIONS, 2), rng.choice("abcdefgkmn")
    text = rng.choice(
        (
            f"x = {outer}({name}[{digit}",
            f"x = ({digit}, {name}[{other}",
            f"x = {outer}([{digit}, {other}",
            f"x = {{'{key}': {name}[{digit}",
            f"x = {outer}({inner}({name}",
            f"x = [{digit}, {outer}({name}",
            f"x = {name}[{outer}({inner}",
            f"x = {{'{key}': {outer}({name}",
            f"x = [{name}, {{'{key}': {digit}",
            f"x = {outer}({{'{key}': {digit}",
        )
    )
    answer = CLOSING[max(CLOSING, key=text.rfind)]
    return text, answer, [closing for closing in (*CLOSING.values(), ";") if closing != answer]


def type_of(rng: random.Random) -> Question:
    """Type of a literal: after x = 4.5, isinstance(x, float)."""
    literals = {
        "int": str(rng.randrange(1_000)),
        "float": f"{rng.randrange(100)}.{rng.randrange(10)}",
        "str": f'"{rng.choice(WORDS)}"',
        "list": f"[{rng.randrange(10)}, {rng.randrange(10)}, {rng.randrange(10)}]",
        "dict": f'{{"{rng.choice(WORDS)}": {rng.randrange(10)}}}',
    }
    answer = rng.choice(tuple(literals))
    wrong = rng.sample([name for name in literals if name != answer], 3)
    return f"x = {literals[answer]}\nassert isinstance(x,", f" {answer}", [f" {name}" for name in wrong]


def dictionary(rng: random.Random) -> Question:
    """Value under a key: of {"fox": 3, "lamp": 5} at "lamp", 5."""
    keys, values, at = rng.sample(WORDS, 3), _digits(rng), rng.randrange(3)
    pairs = ", ".join(f'"{key}": {value}' for key, value in zip(keys, values, strict=False))
    return _asserted(f"d = {{{pairs}}}", f'd["{keys[at]}"]', values, at)


def element(rng: random.Random) -> Question:
    """First or last element: of [5, 2, 7, 1] at -1, 1."""
    values, at = _digits(rng), rng.choice((0, -1))
    return _asserted(f"x = {values}", f"x[{at}]", values, at % len(values))


def variable(rng: random.Random) -> Question:
    """Value of a variable: after fox = 3 and lamp = 5, lamp is 5."""
    names, values, at = rng.sample(WORDS, 2), _digits(rng), rng.randrange(2)
    program = "\n".join(f"{name} = {value}" for name, value in zip(names, values, strict=False))
    return _asserted(program, names[at], values, at)


def _digits(rng: random.Random) -> list[int]:
    return rng.sample(range(10), 4)


def _asserted(program: str, expression: str, values: list[int], at: int) -> Question:
    wrong = [f" {value}" for place, value in enumerate(values) if place != at]
    return f"{program}\nassert {expression} ==", f" {values[at]}", wrong


KINDS: tuple[Callable[[random.Random], Question], ...] = (bracket, type_of, dictionary, element, variable)


def draw(rng: random.Random, index: int) -> Draft:
    """Draw an unfinished program; items cycle through the kinds of question."""
    kind = KINDS[index % len(KINDS)]
    text, answer, wrong = kind(rng)
    return Draft(text, kind.__name__, text, answer, tuple(wrong))
