"""Morphology: past tense of a verb or plural of a noun, after two examples of the same kind."""

import random

from fbn_exp.datasets.probes.items import Draft
from fbn_exp.datasets.probes.words.nouns import COUNTABLE, IRREGULAR_PLURALS, plural
from fbn_exp.datasets.probes.words.verbs import (
    IRREGULAR,
    REGULAR,
    gerund,
    past_participle,
    past_tense,
    third_person,
)

SHOT_VERBS = ("walk", "give", "try", "sing", "stop", "keep", "call", "eat", "play", "write", "use", "know")
SHOT_NOUNS = (
    "cat",
    "man",
    "box",
    "child",
    "book",
    "wolf",
    "car",
    "foot",
    "library",
    "knife",
    "apple",
    "mouse",
)
"""Words for examples, which are never asked for."""

IRREGULAR_VERBS = tuple(verb for verb in IRREGULAR if verb not in SHOT_VERBS)
REGULAR_VERBS = tuple(verb for verb in REGULAR if verb not in SHOT_VERBS)
IRREGULAR_NOUNS = tuple(noun for noun in IRREGULAR_PLURALS if noun not in SHOT_NOUNS)
REGULAR_NOUNS = tuple(noun for noun in COUNTABLE if noun not in (*SHOT_NOUNS, *IRREGULAR_PLURALS))
KINDS = {
    "irregular_past": IRREGULAR_VERBS,
    "regular_plural": REGULAR_NOUNS,
    "regular_past": REGULAR_VERBS,
    "irregular_plural": IRREGULAR_NOUNS,
}
CYCLE = tuple(KINDS) + tuple(KINDS)[:3]
"""Kinds in turn; irregular plurals are few and occur half as often."""


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a word to inflect; wrong choices are its other forms and the right form of another word."""
    kind = CYCLE[index % len(CYCLE)]
    word = rng.choice(KINDS[kind])
    if kind.endswith("past"):
        shots = [(verb, past_tense(verb)) for verb in rng.sample(SHOT_VERBS, 2)]
        answer, wrong = past_tense(word), _wrong_forms(rng, word)
    else:
        shots = [(noun, plural(noun)) for noun in rng.sample(SHOT_NOUNS, 2)]
        other = rng.choice([noun for noun in REGULAR_NOUNS if noun != word])
        answer, wrong = plural(word), (word, plural(other), other)
    text = "".join(f"{base}: {inflected}\n" for base, inflected in shots) + f"{word}:"
    return Draft(f"{kind} {word}", kind, text, f" {answer}", tuple(f" {form}" for form in wrong))


def _wrong_forms(rng: random.Random, verb: str) -> tuple[str, ...]:
    participle = past_participle(verb)
    if participle in (verb, past_tense(verb)):
        other = rng.choice([word for word in (*IRREGULAR_VERBS, *REGULAR_VERBS) if word != verb])
        return third_person(verb), gerund(verb), past_tense(other)
    return third_person(verb), gerund(verb), participle
