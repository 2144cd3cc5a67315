"""Nouns by kind, and their plurals."""

from fbn_exp.datasets.probes.words import listed
from fbn_exp.datasets.probes.words.verbs import ends_in_consonant_y

ROLES = listed(
    """
    actor artist athlete author captain chef citizen clerk coach cousin customer dancer dentist detective
    director doctor driver editor engineer expert farmer friend gardener guard guest guide hunter judge
    lawyer leader librarian manager mechanic minister musician neighbor nurse officer painter patient
    pilot player poet president prisoner producer professor reader reporter sailor scientist senator
    servant singer soldier student teacher tourist visitor warrior winner witness worker writer
    """
)
"""People by occupation, of either gender."""

MALE_ROLES = listed("boy brother father husband king man prince son")
FEMALE_ROLES = listed("girl sister mother wife queen woman lady daughter")

ANIMALS = listed(
    """
    ant bear bee bird bull butterfly cat chicken cow crab crow dog dolphin dragon duck eagle elephant fly
    fox frog goat hen horse insect kitten lamb lion lizard monkey owl panda parrot penguin pig puppy
    rabbit rat shark snake spider squirrel tiger turkey turtle whale worm
    """
)

THINGS = listed(
    """
    album apple arrow bag ball banana basket bath bed bell belt bench bike boat bomb bone book boot bottle
    bowl box branch brick bridge brush bucket building bus button cable cage cake camera candle cap car
    card carpet cart castle chain chair chart church clock cloud coat coin computer cookie crown cup
    curtain desk diamond dish doll door dress drum egg engine envelope factory fan fence flag flower fork
    fountain fruit gate gift guitar gun hat helmet hill hotel house island jacket jar jewel journal key
    kitchen knot lake lamp letter library lock machine magazine map mask medal message mirror motor
    mountain movie nail needle nest newspaper notebook orange oven package painting pan path pen pencil
    photo picture pie pill pillow pipe plane plate pocket poem poster pot prize puzzle radio restaurant
    ring river road robot rock roof rope rose rug sail salad sandwich school seat shell ship shirt shoe
    shop sink skirt song soup spoon stamp star statue stick stone store story stove street suit sword
    table tent theater ticket tire tool tower toy train tray tree truck village wagon wall wallet wheel
    window wing wire yard
    """
)

MASS = listed(
    """
    advice air beef bread butter cash cheese clothing coffee courage dirt dust energy equipment evidence
    flour food furniture grass happiness homework information knowledge luck luggage meat milk money mud
    music oil oxygen patience pepper rice salt sand smoke snow soil steel sugar traffic trash water
    weather wheat wine wood
    """
)
"""Mass nouns."""

IRREGULAR_PLURALS = dict(
    pair.split(":")
    for pair in listed("""
    man:men woman:women child:children foot:feet tooth:teeth mouse:mice goose:geese person:people wolf:wolves
    leaf:leaves life:lives knife:knives wife:wives half:halves shelf:shelves thief:thieves calf:calves ox:oxen
    crisis:crises analysis:analyses basis:bases criterion:criteria phenomenon:phenomena hypothesis:hypotheses
    thesis:theses bacterium:bacteria fungus:fungi stimulus:stimuli nucleus:nuclei cactus:cacti radius:radii
    medium:media curriculum:curricula matrix:matrices vertex:vertices diagnosis:diagnoses gentleman:gentlemen
    fisherman:fishermen businessman:businessmen axis:axes larva:larvae spectrum:spectra
    """)
)
"""Plurals that do not add -s or -es to the singular."""

COUNTABLE = ROLES + ANIMALS + THINGS + tuple(IRREGULAR_PLURALS)
"""All nouns with a plural."""


def plural(noun: str) -> str:
    """Form the plural: ``boxes`` of ``box``, ``children`` of ``child``."""
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if ends_in_consonant_y(noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"
