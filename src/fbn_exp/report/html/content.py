"""Everything that the page shows, as plain json."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.connectivity import Connectivity
from fbn_exp.analysis.description import Description
from fbn_exp.analysis.drivers import FEATURES
from fbn_exp.benchmarks.lesions import networks_digest
from fbn_exp.core.rows import Rows
from fbn_exp.networks.masks import block_shares, intersection_over_union
from fbn_exp.report.html.pictures import data_uri, map_uri

Array = NDArray[np.float64]

FORMAT = "fbn_exp report 1"
# pixels across a map: of the networks shown large, and of the others
LARGE, SMALL = 768, 160
# members are marked one by one up to this many
MARKED = 3_000
# tokens of a strongest text that are shown
TEXT_TOKENS = 160
PAIRS = 8
LIST_TOKENS = 4
RELIABILITY = {"iq": "Iq", "p_value": "p", "split_half": "split-half"}


def report_content(
    found: Description,
    remarks: Sequence[str],
    lesions: list[dict[str, Any]],
    max_networks: int,
    context: int,
) -> dict[str, Any]:
    """Content of the page: plain json without NaN.

    Parameters
    ----------
    found : Description
        The networks, and what can be told of them.
    remarks : sequence of str
        What a reader must know before believing them.
    lesions : list of dict
        As ``known_lesions`` returns it.
    max_networks : int
        So many networks get a large map with its members, and their strongest text in full.
    context : int
        Tokens shown before and after a strong one.
    """
    networks, signals = found.extraction.networks, found.extraction.signals
    shown = _networks(found, max_networks, context)
    used = {each["text"] for network in shown for each in (*network["tokens"], *network["texts"])}
    iou = intersection_over_union(found.masks, found.masks).numpy()
    content = {
        "format": FORMAT,
        "digest": networks_digest(networks),
        "model": str(networks.provenance.get("model", "unknown model")),
        "threshold": found.threshold.describe(),
        "neurons": networks.layout.n_neurons,
        "block_paths": [block.path for block in networks.layout.blocks],
        "widest": max(block.width for block in networks.layout.blocks),
        "summary": _summary(found),
        "remarks": list(remarks),
        "features": list(FEATURES),
        "reliability": {k: v for k, v in RELIABILITY.items() if k in networks.statistics},
        "labels": sorted({each["label"] for each in shown}),
        "networks": shown,
        "texts": {
            str(text): {
                "origin": signals.texts.documents[text].origin,
                "pieces": found.drivers.features.pieces[text],
            }
            for text in sorted(used)
        },
        "lesions": lesions,
        "overlap": matrix(iou, list(range(len(networks))), top=max(0.05, _largest(iou))),
        "connectivity": _connectivity(found.connectivity),
    }
    plain = without_nan(content)
    assert isinstance(plain, dict)
    return plain


def _summary(found: Description) -> list[tuple[str, str]]:
    extraction, networks = found.extraction, found.extraction.networks
    provenance, recorded = networks.provenance, found.extraction.signals
    config = provenance.get("config", {})
    method, signals = dict(config.get("method", {})), dict(config.get("signals", {}))
    name = str(method.pop("_target_", "unknown")).rsplit(".", 1)[-1]
    union = int(found.masks.any(dim=0).sum())
    excluded = recorded.first_tokens_excluded
    signal = [f"standardise {signals.get('standardise', 'none')}"]
    signal.append(f"first {excluded} of each text left out" if excluded else "first tokens kept")
    settings = ", ".join(f"{key} {value}" for key, value in method.items())
    revision, weights = provenance.get("revision"), str(provenance.get("weight_digest"))
    return [
        ("Model", f"{provenance.get('model')}" + (f", revision {revision}" if revision else "")),
        ("Neurons", networks.layout.describe()),
        ("Texts", f"{len(recorded.texts):,} from {provenance.get('texts')}; "
                  f"{len(recorded.values):,} tokens in the signals"),
        ("Signals", ", ".join(signal)),
        ("Method", f"{name}: {settings}" if settings else name),
        ("Members", found.threshold.describe()),
        ("Found", f"{len(networks)} networks, together {union:,} neurons "
                  f"({union / networks.layout.n_neurons:.2%}), "
                  f"{extraction.method.explained_variance_:.1%} of the variance"),
        ("Weights", f"digest {weights[:12]}, fbn_exp {provenance.get('version')}"),
    ]  # fmt: skip


def _networks(found: Description, max_networks: int, context: int) -> list[dict[str, Any]]:
    """One card per network."""
    networks, layout = found.extraction.networks, found.extraction.networks.layout
    scores, shares = networks.z_scores(), block_shares(found.masks, layout)
    signals, courses = found.extraction.signals, found.extraction.method.time_courses_.double().numpy()
    tokens = dict(list(found.tokens.groupby("network")))
    texts = dict(list(found.drivers.texts.groupby("network")))
    cards = []
    for index, row in enumerate(found.drivers.table.to_dict("records")):
        large = index < max_networks
        course = _Course(courses[:, index], signals.rows, signals.texts.lengths)
        own = _contexts(found, tokens.get(index), course, context)
        members = found.masks[index].nonzero()[:, 0].tolist()
        marked = large and len(members) <= MARKED
        words = dict.fromkeys(each["token"].strip() or "␣" for each in own)
        cards.append(
            {
                "index": index,
                "size": len(members),
                "share": len(members) / layout.n_neurons,
                "statistics": {name: values[index] for name, values in networks.statistics.items()},
                "shares": [round(each, 4) for each in shares[index].tolist()],
                "label": row["label"],
                "drivers": row,
                "map": map_uri(scores[index], layout, LARGE if large else SMALL),
                "members": [layout.locate(neuron) for neuron in members] if marked else None,
                "tokens": own,
                "list_tokens": list(words)[:LIST_TOKENS],
                "texts": _texts(texts.get(index), course, large),
            }
        )
    return cards


@dataclass(frozen=True, eq=False)
class _Course:
    """Time course of a network, text by text."""

    values: Array
    rows: Rows
    lengths: Sequence[int]

    def strengths(self, text: int, start: int, end: int) -> list[float | None]:
        """Strength of the tokens from start to end of a text; None where a token has no row."""
        skipped = self.rows.skipped
        first = self.rows.offsets[text] - skipped
        return [
            round(float(self.values[first + place]), 1) if place >= skipped else None
            for place in range(start, min(end, self.lengths[text]))
        ]


def _contexts(
    found: Description, tokens: pd.DataFrame | None, course: _Course, context: int
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
                "token": found.drivers.features.pieces[text][position],
                "strength": float(row.strength),  # type: ignore[arg-type]
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


def matrix(values: Array, order: list[int], top: float) -> dict[str, Any]:
    """A symmetric matrix as a picture, its upper triangle in thousandths, and its strongest pairs."""
    picture = values[np.ix_(order, order)].astype(np.float64)
    np.fill_diagonal(picture, np.nan)
    rows, columns = np.triu_indices(len(values), k=1)
    upper = values[rows, columns]
    strongest = np.argsort(-np.abs(np.nan_to_num(upper)), kind="stable")[:PAIRS]
    return {
        "order": order,
        "top": top,
        "picture": data_uri(picture, top),
        "thousandths": [None if math.isnan(each) else round(1_000 * each) for each in upper.tolist()],
        "pairs": [[int(rows[place]), int(columns[place]), float(upper[place])] for place in strongest],
    }


def _largest(values: Array) -> float:
    outside = np.abs(values[~np.eye(len(values), dtype=bool)])
    return float(np.nanmax(outside, initial=0.0))


def _connectivity(found: Connectivity | None) -> dict[str, Any] | None:
    if found is None:
        return None
    values = found.correlation.mean
    how = (
        f"Pearson's correlation of the time courses within each text, averaged over {found.n_texts} texts; "
        "networks in the order of their clustering. Intervals and partial correlations: "
        "evaluate.py analysis=connectivity."
    )
    return {**matrix(values, list(found.order), top=max(0.2, _largest(values))), "how": how}


def without_nan(value: Any) -> Any:
    """Plain json: NaN and infinities, which json does not know, become null."""
    if isinstance(value, dict):
        return {str(key): without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
