"""Cards of networks as plain json: map, members, strongest tokens and texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from fbn_exp.analysis.description import Description
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Rows
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares
from fbn_exp.report.html.pictures import map_uri
from fbn_exp.report.style import ARROWS

# width of a map in pixels: of networks shown large, and of the others
LARGE, SMALL = 768, 160
# largest number of members that are marked one by one
MARKED = 3_000
# number of tokens shown of a strongest text
TEXT_TOKENS = 160
LIST_TOKENS = 4


def network_cards(description: Description, max_networks: int, context: int) -> list[dict[str, Any]]:
    """Build a card per network.

    Parameters
    ----------
    description : Description
        The networks and their description.
    max_networks : int
        Number of networks shown with a large map of their members and their strongest text in full.
    context : int
        Tokens shown before and after a strongest token.
    """
    extraction = description.extraction
    networks, signals = extraction.networks, extraction.signals
    scores = networks.z_scores()
    courses = extraction.method.time_courses_.double().numpy()
    tokens = dict(list(description.tokens.groupby("network")))
    texts = dict(list(description.drivers.texts.groupby("network")))
    tails = _tails(description)
    cards: list[dict[str, Any]] = []
    for index, row in enumerate(description.drivers.table.to_dict("records")):
        large = index < max_networks
        course = _Course(courses[:, index], signals.rows, signals.texts.lengths)
        strongest = _contexts(tokens.get(index), course, context, description.drivers.features.pieces)
        words: dict[str, str] = {}
        for each in strongest:
            words.setdefault(each["token"].strip() or "␣", ARROWS[each["go"]])
        cards.append(
            {
                **map_card(networks, index, description.masks[index], scores[index], large),
                "tails": tails[index],
                "go": row["members_go"],
                "label": row["label"]
                if networks.names is None
                else f"{networks.names[index]}: {row['label']}",
                "drivers": row,
                "tokens": strongest,
                "list_tokens": list(words.items())[:LIST_TOKENS],
                "texts": _texts(texts.get(index), course, large),
            }
        )
    return cards


def map_card(
    networks: FunctionalNetworks, index: int, mask: Tensor, scores: Tensor, large: bool
) -> dict[str, Any]:
    """Part of a card that a network's map tells by itself.

    Parameters
    ----------
    networks : FunctionalNetworks
        All networks.
    index : int
        The network.
    mask : Tensor of shape (N,), bool
        Its members.
    scores : Tensor of shape (N,)
        Its weights, standardised.
    large : bool
        A large map, with its members marked one by one.
    """
    return {
        "index": index,
        **_members(mask, networks.maps[index], networks.layout, large),
        "statistics": {name: values[index] for name, values in networks.statistics.items()},
        "shares": [round(each, 4) for each in block_shares(mask[None], networks.layout)[0].tolist()],
        "map": map_uri(scores, networks.layout, LARGE if large else SMALL),
    }


def _tails(description: Description) -> list[tuple[float, float] | None]:
    """Share of the neurons in the positive and the negative tail of each map, if the rule looks for tails."""
    tails = description.tails
    if tails is None:
        return [None] * len(description.masks)
    return list(zip(tails.positive.tolist(), tails.negative.tolist(), strict=True))


def _members(mask: Tensor, weights: Tensor, layout: NeuronLayout, large: bool) -> dict[str, Any]:
    """Number of members, and block, place and sign of the weight of each if they are marked one by one."""
    members = mask.nonzero()[:, 0].tolist()
    marked = large and len(members) <= MARKED
    return {
        "size": len(members),
        "share": len(members) / layout.n_neurons,
        "size_up": int((weights[mask] > 0).sum()),
        "size_down": int((weights[mask] < 0).sum()),
        "members": [[*layout.locate(each), int(weights[each].sign())] for each in members]
        if marked
        else None,
    }


@dataclass(frozen=True, eq=False)
class _Course:
    """Time course of a network, divided by text."""

    values: NDArray[np.float64]
    rows: Rows
    lengths: Sequence[int]

    def strengths(self, text: int, start: int, end: int) -> list[float | None]:
        """Return the strengths of a text's tokens from start to end; None for tokens without a row."""
        skipped = self.rows.skipped
        first = self.rows.offsets[text] - skipped
        return [
            round(float(self.values[first + place]), 1) if place >= skipped else None
            for place in range(start, min(end, self.lengths[text]))
        ]


def _contexts(
    tokens: pd.DataFrame | None, course: _Course, context: int, pieces: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    if tokens is None:
        return []
    shown = []
    for row in tokens.itertuples():
        text, position = int(row.text), int(row.position)  # type: ignore[arg-type]
        start = max(0, position - context)
        shown.append(
            {
                "text": text,
                "start": start,
                "position": position,
                "token": pieces[text][position],
                "strength": float(row.strength),  # type: ignore[arg-type]
                "go": str(row.members_go),
                "values": course.strengths(text, start, position + context + 1),
            }
        )
    return shown


def _texts(texts: pd.DataFrame | None, course: _Course, large: bool) -> list[dict[str, Any]]:
    if texts is None:
        return []
    shown = []
    for row in texts.itertuples():
        text = int(row.text)  # type: ignore[arg-type]
        values = course.strengths(text, 0, TEXT_TOKENS) if large and row.rank == 1 else []
        shown.append({"text": text, "strength": row.root_mean_square, "values": values})
    return shown
