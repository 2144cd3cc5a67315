"""Grammar: choose the word that continues a sentence; both choices follow the same words."""

import random
from collections.abc import Callable

from fbn_exp.datasets.probes.items import Draft
from fbn_exp.datasets.probes.words.names import MEN, WOMEN
from fbn_exp.datasets.probes.words.nouns import (
    ANIMALS,
    FEMALE_ROLES,
    MALE_ROLES,
    MASS,
    ROLES,
    THINGS,
    plural,
)
from fbn_exp.datasets.probes.words.verbs import (
    IRREGULAR,
    REGULAR,
    gerund,
    past_participle,
    past_tense,
    third_person,
)

Pair = tuple[str, str, str]
"""Start of a sentence, the correct next word, and the wrong one."""

NOUNS = ROLES + ANIMALS + THINGS
NAMES = MEN + WOMEN
ADJECTIVES = ("", " old", " young", " tall", " rich", " famous", " quiet")
BOUGHT = ("bought", "found", "sold", "painted", "wanted", "lost", "saw", "needed")
BE = (("is", "are"), ("was", "were"), ("has", "have"))
DEGREES = (
    ("taller", "tall"), ("older", "old"), ("faster", "fast"), ("smaller", "small"), ("younger", "young"),
    ("stronger", "strong"), ("richer", "rich"), ("slower", "slow"), ("larger", "large"), ("weaker", "weak"),
)  # fmt: skip
CHANGING = tuple(verb for verb in IRREGULAR if past_tense(verb) not in (past_participle(verb), verb))
"""Verbs whose past tense differs from their participle and their base form."""


def agreement(rng: random.Random) -> Pair:
    """Agreement of the verb with the subject before it: The cats → are."""
    return _agreeing(rng, "The {subject}", rng.choice(NOUNS))


def agreement_across_noun(rng: random.Random) -> Pair:
    """Agreement across a noun of the other number: The cats near the chair → are."""
    place = rng.choice(("near", "behind", "beside", "above", "below", "next to"))
    return _agreeing(rng, f"The {{subject}} {place} the {{other}}", rng.choice(NOUNS), rng.choice(THINGS))


def agreement_across_clause(rng: random.Random) -> Pair:
    """Agreement across a relative clause: The painters that the judge met → are."""
    verb = rng.choice(("met", "saw", "liked", "knew", "hated", "visited"))
    return _agreeing(rng, f"The {{subject}} that the {{other}} {verb}", rng.choice(ROLES), rng.choice(ROLES))


def _agreeing(rng: random.Random, frame: str, subject: str, other: str = "") -> Pair:
    singular, several = rng.choice(BE)
    if rng.random() < 0.5:
        return frame.format(subject=subject, other=other and plural(other)), singular, several
    return frame.format(subject=plural(subject), other=other), several, singular


def reflexive_number(rng: random.Random) -> Pair:
    """Number of a reflexive: The girls saw → themselves."""
    people, one = rng.choice(((MALE_ROLES, "himself"), (FEMALE_ROLES, "herself")))
    subject, verb = rng.choice(people), _seen(rng)
    start = f"The{rng.choice(ADJECTIVES)}"
    if rng.random() < 0.5:
        return f"{start} {subject} {verb}", one, "themselves"
    return f"{start} {plural(subject)} {verb}", "themselves", one


def reflexive_gender(rng: random.Random) -> Pair:
    """Gender of a reflexive: Anna saw → herself."""
    if rng.random() < 0.5:
        return f"{rng.choice(MEN)} {_seen(rng)}", "himself", "herself"
    return f"{rng.choice(WOMEN)} {_seen(rng)}", "herself", "himself"


def _seen(rng: random.Random) -> str:
    return rng.choice(("hurt", "blamed", "saw", "taught", "introduced", "helped", "protected", "cut", "hid"))


def demonstrative(rng: random.Random) -> Pair:
    """Number after a demonstrative: these → lamps, this → lamp."""
    verb = rng.choice(("bought", "sold", "painted", "lost", "cleaned", "repaired"))
    one, several = rng.choice((("this", "these"), ("that", "those")))
    adjective = rng.choice(("", " old", " new", " small", " red"))
    start, thing = f"{rng.choice(NAMES)} {verb}", rng.choice(THINGS)
    if rng.random() < 0.5:
        return f"{start} {one}{adjective}", thing, plural(thing)
    return f"{start} {several}{adjective}", plural(thing), thing


def quantity(rng: random.Random) -> Pair:
    """Tom bought too much → milk, several → lamps."""
    mass, things = rng.choice(MASS), plural(rng.choice(THINGS))
    start = f"{rng.choice(NAMES)} {rng.choice(BOUGHT)}"
    if rng.random() < 0.5:
        return f"{start} {rng.choice(('too', 'so', 'very'))} much", mass, things
    return f"{start} {rng.choice(('too many', 'so many', 'several', 'three'))}", things, mass


def numeral(rng: random.Random) -> Pair:
    """Tom bought every → lamp, several → lamps."""
    thing = rng.choice(THINGS)
    start = f"{rng.choice(NAMES)} {rng.choice(BOUGHT)}"
    if rng.random() < 0.5:
        return f"{start} {rng.choice(('one', 'every', 'each', 'another'))}", thing, plural(thing)
    return f"{start} {rng.choice(('several', 'many', 'both', 'two', 'three'))}", plural(thing), thing


def article(rng: random.Random) -> Pair:
    """Noun after an article: an → apple, a → lamp."""
    start = f"{rng.choice(NAMES)} {rng.choice(BOUGHT)}"
    vowel = rng.choice([noun for noun in THINGS + ANIMALS if noun[0] in "aeio"])
    consonant = rng.choice([noun for noun in THINGS + ANIMALS if noun[0] not in "aeiouh"])
    if rng.random() < 0.5:
        return f"{start} an", vowel, consonant
    return f"{start} a", consonant, vowel


def participle(rng: random.Random) -> Pair:
    """Participle or past tense: Tom has → written, Yesterday Tom → wrote."""
    verb, name = rng.choice(CHANGING), rng.choice(NAMES)
    if rng.random() < 0.5:
        start = rng.choice((f"{name} has", f"{name} had", f"{name} has never", f"{name} has already"))
        return start, past_participle(verb), past_tense(verb)
    start = rng.choice(("Yesterday", "Last week", "Last year", "In the morning"))
    return f"{start} {name}", past_tense(verb), past_participle(verb)


def modal(rng: random.Random) -> Pair:
    """Base form after a modal verb: Tom can → swim."""
    verb = rng.choice((*IRREGULAR, *REGULAR))
    start = rng.choice(("can", "will", "must", "should", "might", "did not", "could not"))
    return f"{rng.choice(NAMES)} {start}", verb, rng.choice((third_person(verb), gerund(verb)))


def progressive(rng: random.Random) -> Pair:
    """Progressive form: Tom is → swimming."""
    verb = rng.choice((*IRREGULAR, *REGULAR))
    start = rng.choice(("is", "was", "has been", "will be"))
    return f"{rng.choice(NAMES)} {start}", gerund(verb), third_person(verb)


def complement(rng: random.Random) -> Pair:
    """Gerund or infinitive: Tom enjoys → writing, Tom wants to → write."""
    verb, name = rng.choice(CHANGING), rng.choice(NAMES)
    if rng.random() < 0.5:
        return f"{name} {rng.choice(('enjoys', 'avoids', 'dislikes'))}", gerund(verb), past_tense(verb)
    return f"{name} {rng.choice(('wants', 'decided', 'hopes', 'tried', 'refused'))} to", verb, gerund(verb)


def indefinite(rng: random.Random) -> Pair:
    """Indefinite pronoun: Tom did not see → anything, Yesterday Tom saw → something."""
    verb = rng.choice(("find", "draw", "build", "sell", "hear", "see", "follow", "avoid", "like", "remember"))
    which, name = rng.choice(("body", "one", "thing")), rng.choice(NAMES)
    if rng.random() < 0.5:
        start = rng.choice(("did not", "could not", "does not"))
        return f"{name} {start} {verb}", f"any{which}", f"some{which}"
    start = rng.choice(("Yesterday", "Last week", "Last year", "On Monday"))
    return f"{start} {name} {past_tense(verb)}", f"some{which}", f"any{which}"


def ever(rng: random.Random) -> Pair:
    """Negative polarity: None of the painters had → ever, some of the painters had → never."""
    people = f"the{rng.choice(ADJECTIVES)} {plural(rng.choice(ROLES))}"
    if rng.random() < 0.5:
        return f"{rng.choice(('None', 'Not one'))} of {people} had", "ever", "never"
    return f"{rng.choice(('Some', 'Most', 'Many', 'Three'))} of {people} had", "never", "ever"


def additive(rng: random.Random) -> Pair:
    """Additive particle: Tom can swim, and Anna can swim → too; neither can → either."""
    one, other = rng.sample(NAMES, 2)
    verb = rng.choice(("swim", "sing", "drive", "cook", "dance", "read", "write", "jump"))
    if rng.random() < 0.5:
        return f"{one} can not {verb}, and {other} can not {verb}", "either", "too"
    return f"{one} can {verb}, and {other} can {verb}", "too", "either"


def pronoun_case(rng: random.Random) -> Pair:
    """Case of a pronoun: The painter met → him, The painter left because → he."""
    subject, object_ = rng.choice((("he", "him"), ("they", "them"), ("we", "us"), ("I", "me")))
    if rng.random() < 0.5:
        verb = rng.choice(("met", "invited", "helped", "visited", "thanked", "followed"))
        return f"The {rng.choice(ROLES)} {verb}", object_, subject
    conjunction = rng.choice(("because", "when", "although", "while"))
    return f"The {rng.choice(ROLES)} left {conjunction}", subject, object_


def comparison(rng: random.Random) -> Pair:
    """Comparison: Tom is taller → than, Tom is as tall → as."""
    more, plain = rng.choice(DEGREES)
    subject = rng.choice((rng.choice(NAMES), f"The {rng.choice(ROLES)}", f"The {rng.choice(ANIMALS)}"))
    if rng.random() < 0.5:
        return f"{subject} is {more}", "than", "as"
    return f"{subject} is as {plain}", "as", "than"


def relative_pronoun(rng: random.Random) -> Pair:
    """Relative pronoun: the painter → who, the lamp → which."""
    start = rng.choice(("This is the", "Tom talked about the", "We know the", "She remembers the"))
    if rng.random() < 0.5:
        return f"{start} {rng.choice(ROLES)}", "who", "which"
    return f"{start} {rng.choice(THINGS)}", "which", "who"


PHENOMENA: tuple[Callable[[random.Random], Pair], ...] = (
    agreement, agreement_across_noun, agreement_across_clause, reflexive_number, reflexive_gender,
    demonstrative, quantity, numeral, article, participle, modal, progressive, complement, indefinite,
    ever, additive, pronoun_case, comparison, relative_pronoun,
)  # fmt: skip


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a minimal pair; items cycle through the phenomena."""
    phenomenon = PHENOMENA[index % len(PHENOMENA)]
    text, right, wrong = phenomenon(rng)
    return Draft(text, phenomenon.__name__, text, f" {right}", (f" {wrong}",))
