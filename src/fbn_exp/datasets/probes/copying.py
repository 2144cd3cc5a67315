"""Copying: random words are repeated in the same order, and the next one is asked for."""

import random

from fbn_exp.datasets.probes.items import Draft
from fbn_exp.datasets.probes.words.nouns import ANIMALS, THINGS

LENGTH = 8
REPEATED = range(4, LENGTH)
"""Numbers of words that have been repeated already."""


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a sequence and the end of its repetition; wrong choices are other words of the sequence."""
    repeated = REPEATED[index % len(REPEATED)]
    words = rng.sample(ANIMALS + THINGS, LENGTH)
    answer = words[repeated]
    wrong = rng.sample([word for word in words if word != answer], 3)
    text = " ".join(words + words[:repeated])
    return Draft(
        " ".join(words), f"after_{repeated}", text, f" {answer}", tuple(f" {word}" for word in wrong)
    )
