"""Colours of tokens: hue is the sign, opacity the size, as in the report."""

import math

from fbn_exp.report.style import NEGATIVE, POSITIVE

# a time course has its full colour from this number of standard deviations on
FULL_STRENGTH = 4.0
# a loss and its change have their full colour from this number of nats on
FULL_LOSS = 6.0
MOST_OPAQUE = 0.8
# fainter than this, a colour is not seen
FAINTEST = 0.04


def tint(value: float | None, full: float) -> str:
    """Colour of a number as ``rgb(… / …)``, empty for one that is unknown or too small to be seen.

    Parameters
    ----------
    value : float or None
        Number, such as the strength of a network at a token.
    full : float
        Magnitude from which on the colour is full.
    """
    if value is None or not math.isfinite(value):
        return ""
    share = min(1.0, abs(value) / full)
    if share < FAINTEST:
        return ""
    red, green, blue = POSITIVE if value > 0 else NEGATIVE
    return f"rgb({red} {green} {blue} / {MOST_OPAQUE * share:.2f})"


def shade(value: float | None, full: float) -> str:
    """Grey of a number that is never negative, such as a loss; empty as in :func:`tint`."""
    if value is None or not math.isfinite(value) or value / full < FAINTEST:
        return ""
    return f"rgb(128 128 128 / {MOST_OPAQUE * min(1.0, value / full):.2f})"


def visible(piece: str) -> str:
    """Text of a token within others, with signs for line ends and tabs."""
    return piece.replace("\n", "↵").replace("\r", "␍").replace("\t", "⇥")


def alone(piece: str) -> str:
    """Text of a token by itself: spaces alone, and a part of a character, are shown by signs as well."""
    return "␣" * len(piece) if piece and not piece.strip(" ") else visible(piece) or "∅"


def signed(value: float | None, digits: int = 1) -> str:
    """Number with its sign, a minus of the width of the plus; a dash if it is unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    # a number that is rounded to 0 has no sign
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def fixed(value: float | None, digits: int = 2) -> str:
    """Number with a true minus sign; a dash if it is unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """Signed bounds of an interval; one dash if it is unknown."""
    bounds = signed(low, digits), signed(high, digits)
    return "–" if "–" in bounds else " to ".join(bounds)
