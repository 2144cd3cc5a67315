"""Colours of numbers, and texts of tokens."""

import math

import pytest

from fbn_exp.explorer.shown.colours import alone, fixed, shade, signed, tint, visible


def test_hue_is_the_sign_and_opacity_the_size_up_to_a_limit():
    assert tint(2, full=4) == "rgb(217 95 48 / 0.40)"
    assert tint(-2, full=4) == "rgb(59 130 196 / 0.40)"
    assert tint(4, full=4) == tint(40, full=4) == "rgb(217 95 48 / 0.80)"
    assert shade(3, full=6) == "rgb(128 128 128 / 0.40)"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 0.0, 0.1])
def test_what_is_unknown_or_unseen_has_no_colour(value):
    assert tint(value, full=4) == ""
    assert shade(value, full=4) == ""


def test_what_is_not_seen_in_a_token_has_a_sign():
    assert visible("a\n\tb ") == "a↵⇥b "
    assert alone("  ") == "␣␣"
    assert alone("") == "∅"
    assert alone(" a") == " a"


def test_numbers_have_true_signs_and_a_dash_where_they_are_unknown():
    assert signed(-1.26) == "−1.3"
    assert signed(1.26) == "+1.3"
    assert signed(-0.04) == signed(0.0) == "0.0"
    assert signed(None) == fixed(math.nan) == "–"
    assert fixed(-1.256) == "−1.26"
