"""Arithmetic: sums and differences from 0 to 20, after one example of the same kind."""

import random

from fbn_exp.datasets.probes.items import Draft

LARGEST = 20
NEAR = 3
"""Wrong choices are at most this far from the result."""

Problem = tuple[int, str, int]

SUMS: tuple[Problem, ...] = tuple((a, "+", b) for a in range(1, LARGEST) for b in range(1, LARGEST - a + 1))
DIFFERENCES: tuple[Problem, ...] = tuple((a, "-", b) for a in range(1, LARGEST + 1) for b in range(1, a + 1))


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a problem; all choices have as many digits as the result, so that length gives no hint."""
    kind, problems = (("sum", SUMS), ("difference", DIFFERENCES))[index % 2]
    problem = rng.choice(problems)
    shot = rng.choice([other for other in problems if _key(other) != _key(problem)])
    text = f"{_written(shot)} {result(shot)}\n{_written(problem)}"
    right = result(problem)
    wrong = rng.sample(near(right), 3)
    return Draft(_key(problem), kind, text, f" {right}", tuple(f" {value}" for value in wrong))


def result(problem: Problem) -> int:
    """Value of a sum or a difference."""
    a, sign, b = problem
    return a + b if sign == "+" else a - b


def near(right: int) -> list[int]:
    """Wrong results close to the right one, with as many digits."""
    lowest, highest = (0, 9) if right < 10 else (10, max(right, 19))
    around = range(max(lowest, right - NEAR), min(highest, right + NEAR) + 1)
    return [value for value in around if value != right]


def _written(problem: Problem) -> str:
    a, sign, b = problem
    return f"{a} {sign} {b} ="


def _key(problem: Problem) -> str:
    # 3+4 and 4+3 are the same question
    a, sign, b = problem
    return _written((min(a, b), sign, max(a, b)) if sign == "+" else problem)
