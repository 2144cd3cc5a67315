"""Copying: random words are said again in the same order, and one is to come next."""

import random

from fbn_exp.benchmarks.probes.items import Draft
from fbn_exp.benchmarks.probes.words.nouns import ANIMALS, THINGS

LENGTH = 8
REPEATED = range(4, LENGTH)
"""How many of the words have been said a second time."""


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a sequence and where its repetition stops; wrong choices are other words of the sequence."""
    repeated = REPEATED[index % len(REPEATED)]
    words = rng.sample(ANIMALS + THINGS, LENGTH)
    answer = words[repeated]
    wrong = rng.sample([word for word in words if word != answer], 3)
    text = " ".join(words + words[:repeated])
    return Draft(
        " ".join(words), f"after_{repeated}", text, f" {answer}", tuple(f" {word}" for word in wrong)
    )
