"""Verbs and their past forms."""

from fbn_exp.datasets.probes.words import listed

VOWELS = "aeiou"

IRREGULAR = {
    base: (past, participle)
    for base, past, participle in (
        line.split()
        for line in """\
become became become
begin began begun
bend bent bent
bind bound bound
bite bit bitten
blow blew blown
break broke broken
breed bred bred
bring brought brought
build built built
buy bought bought
catch caught caught
choose chose chosen
come came come
deal dealt dealt
draw drew drawn
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed fed
feel felt felt
fight fought fought
find found found
fly flew flown
give gave given
go went gone
grow grew grown
hear heard heard
hide hid hidden
hold held held
keep kept kept
know knew known
lead led led
leave left left
lend lent lent
lose lost lost
make made made
mean meant meant
meet met met
pay paid paid
rise rose risen
run ran run
say said said
see saw seen
seek sought sought
sell sold sold
send sent sent
shine shone shone
shoot shot shot
sing sang sung
sink sank sunk
sit sat sat
speak spoke spoken
spend spent spent
spin spun spun
stand stood stood
stick stuck stuck
strike struck struck
take took taken
teach taught taught
tell told told
think thought thought
throw threw thrown
undergo underwent undergone
understand understood understood
wear wore worn
win won won
write wrote written
""".splitlines()
    )
}
"""Past tense and past participle of verbs that do not take -ed."""

REGULAR = listed(
    """
    accept achieve act add admit adopt advise agree allow announce answer appear apply argue arrive ask
    assign assist assume attach attack attempt attend attract avoid belong block boil brush call care
    carry cause celebrate challenge change charge check claim clean clear collect combine comment compare
    complete confirm connect consider consist contain continue control cook copy count cover crack crash
    create cross cry dance decide declare decline decrease defeat define delay deliver demand deny depend
    describe deserve design destroy detect determine develop die disappear discover discuss divide dream
    dress drop earn employ enable encourage enjoy ensure enter escape establish examine exceed exist
    expand expect explain explore expose express extend fail fear fill finish fix float fold follow force
    fry gain gather grab grant guard guess guide handle happen heal help hope hunt identify ignore improve
    include increase influence inform insist intend introduce invite involve join judge jump kick kill
    land last launch learn like list listen load lock look love maintain manage march mark match measure
    melt mention mix move name need notice observe obtain occur offer open operate order organize own pack
    paint park pass perform pick plan plant play possess practice praise prefer prepare press prevent
    print proceed produce promise promote protect prove provide publish pull purchase push raise reach
    react realize receive recognize recommend record reduce refer reflect refuse reject relate release
    rely remain remember remind remove repair repeat replace report represent request require respond rest
    return reveal roll sail satisfy save search seem select serve settle shape share shift sign slip smile
    solve spell start stay step stop store stretch study succeed suffer suggest supply support surprise
    survive switch talk taste test tie touch trace train transform travel treat trust try turn twist type
    unite use value view visit vote wait walk want warn wash watch welcome wipe wish wonder work worry
    wrap
    """
)
"""Verbs that take -ed, with common forms."""

DOUBLING = frozenset(
    listed("admit begin control drop grab occur plan prefer refer run sit slip spin step stop win wrap")
)
"""Verbs that double their last letter before -ed and -ing."""


def past_tense(verb: str) -> str:
    """Form the past tense: ``went`` of ``go``, ``tried`` of ``try``."""
    return IRREGULAR[verb][0] if verb in IRREGULAR else _regular_past(verb)


def past_participle(verb: str) -> str:
    """Form the past participle: ``gone`` of ``go``, ``tried`` of ``try``."""
    return IRREGULAR[verb][1] if verb in IRREGULAR else _regular_past(verb)


def third_person(verb: str) -> str:
    """Form the third person singular: ``goes`` of ``go``."""
    if ends_in_consonant_y(verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{verb}s"


def gerund(verb: str) -> str:
    """Form the gerund: ``dying`` of ``die``, ``making`` of ``make``."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    return f"{_stem(verb)}ing"


def ends_in_consonant_y(word: str) -> bool:
    """True if -y becomes -ie- before an ending."""
    return word.endswith("y") and word[-2] not in VOWELS


def _stem(verb: str) -> str:
    return verb + verb[-1] if verb in DOUBLING else verb


def _regular_past(verb: str) -> str:
    if ends_in_consonant_y(verb):
        return f"{verb[:-1]}ied"
    return f"{verb}d" if verb.endswith("e") else f"{_stem(verb)}ed"
