"""Html of the page's parts; templates escape everything that comes from a model or a text."""

from functools import cache
from typing import Any

from jinja2 import Environment

from fbn_exp.explorer.reading import Reading
from fbn_exp.explorer.shown.colours import (
    FULL_LOSS,
    FULL_STRENGTH,
    alone,
    fixed,
    interval,
    shade,
    signed,
    tint,
    visible,
)
from fbn_exp.explorer.workbench import Workbench
from fbn_exp.report.html import templates

# networks on one page of a list
ROWS = 12


@cache
def environment() -> Environment:
    """Templates, with the functions that they use."""
    made = templates.page_templates("fbn_exp.explorer.shown")
    made.globals |= {
        "alone": alone,
        "fixed": fixed,
        "shade": shade,
        "interval": interval,
        "signed": signed,
        "tint": tint,
        "visible": visible,
        "FULL_LOSS": FULL_LOSS,
        "FULL_STRENGTH": FULL_STRENGTH,
    }
    return made


def rendered(template: str, **values: Any) -> str:
    """Fill in a template of this package."""
    return environment().get_template(f"{template}.html").render(values)


def source(name: str) -> str:
    """Text of a file among the templates, such as the style of the page."""
    return templates.source(environment(), name)


def head(bench: Workbench) -> str:
    """Title of the page: the model, its networks, and how many of them there are."""
    return rendered("head", bench=bench, provenance=bench.networks.provenance)


def courses(bench: Workbench, readings: list[Reading], order: list[int], page: int) -> str:
    """Time courses of one page of networks over the tokens of one or two texts."""
    shown = order[page * ROWS : (page + 1) * ROWS]
    rows = [
        {
            "index": network,
            "name": bench.name(network),
            "strengths": [reading.strengths[network] for reading in readings],
            "values": [_values(reading, network) for reading in readings],
        }
        for network in shown
    ]
    return rendered("courses", rows=rows, readings=readings, first=page * ROWS, total=len(order))


def _values(reading: Reading, network: int) -> list[tuple[str, float, bool]]:
    """Text, strength, and whether it counts, of each token."""
    column = reading.values[:, network].tolist()
    return [
        (piece, value, place >= reading.skipped)
        for place, (piece, value) in enumerate(zip(reading.pieces, column, strict=True))
    ]
