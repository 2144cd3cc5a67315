"""Recall: a fact about a person, stated a few words before."""

import random

from fbn_exp.datasets.probes.items import Draft
from fbn_exp.datasets.probes.words.names import CITIES, MEN, WOMEN
from fbn_exp.datasets.probes.words.topics import COLORS, FOODS, JOBS, LANGUAGES, PETS, SPORTS

FACTS = {
    "city": ("lives in {}", CITIES),
    "pet": ("has a {}", PETS),
    "food": ("likes {}", FOODS),
    "job": ("works as a {}", JOBS),
    "language": ("speaks {}", LANGUAGES),
    "sport": ("plays {}", SPORTS),
    "color": ("drives a {} car", COLORS),
}
"""Facts about a person, with the words that can complete them."""


def draw(rng: random.Random, index: int) -> Draft:
    """Draw three facts about a person and ask for one; wrong choices would fit, but were not stated."""
    asked = tuple(FACTS)[index % len(FACTS)]
    others = rng.sample([fact for fact in FACTS if fact != asked], 2)
    told = rng.sample([asked, *others], 3)
    name = rng.choice(MEN + WOMEN)
    frame, words = FACTS[asked]
    answer, *wrong = rng.sample(words, 4)
    filled = [FACTS[fact][0].format(answer if fact == asked else rng.choice(FACTS[fact][1])) for fact in told]
    question = frame[: frame.index(" {}")]
    text = f"{name} {filled[0]}, {filled[1]} and {filled[2]}. So {name} {question}"
    return Draft(text, asked, text, f" {answer}", tuple(f" {word}" for word in wrong))
