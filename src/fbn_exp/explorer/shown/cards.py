"""Html of a network's card: its map, its drivers, its strongest texts, and its lesions."""

from collections.abc import Mapping
from typing import Any

from fbn_exp.explorer.shown.templates import rendered
from fbn_exp.explorer.workbench import Workbench
from fbn_exp.report.html.cards import map_card
from fbn_exp.report.reliability import COLUMNS
from fbn_exp.report.style import ARROWS

FEATURES = {
    "driver_first_token": "First token",
    "driver_position": "Position, linear",
    "driver_punctuation": "Punctuation",
    "driver_newline": "Newline",
    "driver_digit": "Digit",
    "driver_log_frequency": "Log frequency",
    "driver_domain": "Corpus",
}


def card(bench: Workbench, network: int) -> str:
    """Card of a network: what its map tells, and the report beside the networks, if there is one."""
    told = bench.told(network)
    strengths = [abs(each["strength"]) for each in told.get("tokens", [])]
    return rendered(
        "card",
        index=network,
        name=bench.name(network),
        card=map_card(bench.networks, network, bench.masks[network], bench.scores[network], large=True),
        told=told,
        drivers=drivers_in(told),
        texts=(bench.report or {}).get("texts", {}),
        top=max([*strengths, 1e-9]),
        reliability=COLUMNS,
        arrows=ARROWS,
        keystones=None if bench.keystones is None else bench.keystones[network],
        lesions=bench.lesions(network),
        folder=bench.folder,
    )


def drivers_in(told: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """Titles and correlations of the features that a report compares a network with."""
    drivers = told.get("drivers", {})
    return [(title, drivers.get(key)) for key, title in FEATURES.items() if key in drivers]


def strongest_text(bench: Workbench, network: int) -> str | None:
    """Tokens of the text at which a network is strongest, None without a report."""
    texts = bench.told(network).get("texts", [])
    if not texts or bench.report is None:
        return None
    return "".join(bench.report["texts"][str(texts[0]["text"])]["pieces"])
