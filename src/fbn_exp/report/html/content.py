"""Everything that the page shows, as plain json."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from fbn_exp.analysis.drivers import FEATURES, Drivers
from fbn_exp.benchmarks.lesions import networks_digest
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares, intersection_over_union
from fbn_exp.report.html.pictures import data_uri, map_uri
from fbn_exp.signals.base import Signals
from fbn_exp.thresholds.base import Threshold

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


@dataclass(frozen=True, eq=False)
class ReportInput:
    """What a report is made of.

    Attributes
    ----------
    networks : FunctionalNetworks
        The networks.
    threshold : Threshold
        Which neurons are members.
    signals : Signals
        What they were found in.
    time_courses : Tensor of shape (T, K)
        Of the networks, unit variance.
    drivers : Drivers
        What drives each.
    tokens : DataFrame
        As ``strongest_tokens`` returns it.
    metrics : dict of str to float
        Of the run.
    remarks : sequence of str
        What a reader must know before believing the networks.
    max_networks : int
        So many networks get a large map with its members, and their strongest text in full.
    context : int
        Tokens shown before and after a strong one.
    lesions : list of dict
        As ``known_lesions`` returns it.
    connectivity : tuple of array of shape (K, K), list of int, str, or None
        Correlations between time courses, the networks in the order of their clustering, and how the
        correlations were taken, in words.
    """

    networks: FunctionalNetworks
    threshold: Threshold
    signals: Signals
    time_courses: Tensor
    drivers: Drivers
    tokens: pd.DataFrame
    metrics: dict[str, float]
    remarks: Sequence[str]
    max_networks: int
    context: int
    lesions: list[dict[str, Any]] = field(default_factory=list)
    connectivity: tuple[Array, list[int], str] | None = None


def report_content(given: ReportInput) -> dict[str, Any]:
    """Content of the page: plain json without NaN."""
    networks, masks = given.networks, given.networks.masks(given.threshold)
    courses = given.time_courses.double().numpy()
    first_row = given.signals.rows.offsets
    shown = _networks(given, masks, courses, first_row)
    used = {each["text"] for network in shown for each in (*network["tokens"], *network["texts"])}
    iou = intersection_over_union(masks, masks).numpy()
    content = {
        "format": FORMAT,
        "digest": networks_digest(networks),
        "model": str(networks.provenance.get("model", "unknown model")),
        "threshold": given.threshold.describe(),
        "neurons": networks.layout.n_neurons,
        "block_paths": [block.path for block in networks.layout.blocks],
        "widest": max(block.width for block in networks.layout.blocks),
        "summary": _summary(given, masks),
        "remarks": list(given.remarks),
        "features": list(FEATURES),
        "reliability": {k: v for k, v in RELIABILITY.items() if k in networks.statistics},
        "labels": sorted({each["label"] for each in shown}),
        "networks": shown,
        "texts": {
            str(text): {
                "origin": given.signals.texts.documents[text].origin,
                "pieces": given.drivers.features.pieces[text],
            }
            for text in sorted(used)
        },
        "lesions": given.lesions,
        "overlap": matrix(iou, list(range(len(networks))), top=max(0.05, _largest(iou))),
        "connectivity": _connectivity(given),
    }
    plain = without_nan(content)
    assert isinstance(plain, dict)
    return plain


def _summary(given: ReportInput, masks: Tensor) -> list[tuple[str, str]]:
    networks, provenance = given.networks, given.networks.provenance
    config, texts = provenance.get("config", {}), given.signals.texts
    method, signals = dict(config.get("method", {})), dict(config.get("signals", {}))
    name = str(method.pop("_target_", "unknown")).rsplit(".", 1)[-1]
    rows = len(given.signals.values)
    union = int(masks.any(dim=0).sum())
    excluded = given.signals.first_tokens_excluded
    signal = [f"standardise {signals.get('standardise', 'none')}"]
    signal.append(f"first {excluded} of each text left out" if excluded else "first tokens kept")
    explained = given.metrics.get("explained_variance")
    settings = ", ".join(f"{key} {value}" for key, value in method.items())
    rest = "" if explained is None else f", {explained:.1%} of the variance"
    revision, weights = provenance.get("revision"), str(provenance.get("weight_digest"))
    return [
        ("Model", f"{provenance.get('model')}" + (f", revision {revision}" if revision else "")),
        ("Neurons", networks.layout.describe()),
        ("Texts", f"{len(texts):,} from {provenance.get('texts')}; {rows:,} tokens in the signals"),
        ("Signals", ", ".join(signal)),
        ("Method", f"{name}: {settings}" if settings else name),
        ("Members", given.threshold.describe()),
        ("Found", f"{len(networks)} networks, together {union:,} neurons "
                  f"({union / networks.layout.n_neurons:.2%}){rest}"),
        ("Weights", f"digest {weights[:12]}, fbn_exp {provenance.get('version')}"),
    ]  # fmt: skip


def _networks(
    given: ReportInput, masks: Tensor, courses: Array, first_row: NDArray[np.int64]
) -> list[dict[str, Any]]:
    networks, layout = given.networks, given.networks.layout
    scores, shares = networks.z_scores(), block_shares(masks, layout)
    rows = given.drivers.table.to_dict("records")
    tokens = dict(list(given.tokens.groupby("network")))
    texts = dict(list(given.drivers.texts.groupby("network")))
    found = []
    for index, row in enumerate(rows):
        large = index < given.max_networks
        own = _contexts(given, tokens.get(index), courses[:, index], first_row)
        members = masks[index].nonzero()[:, 0].tolist()
        found.append(
            {
                "index": index,
                "size": len(members),
                "share": len(members) / layout.n_neurons,
                "statistics": {name: values[index] for name, values in networks.statistics.items()},
                "shares": [round(each, 4) for each in shares[index].tolist()],
                "label": row["label"],
                "drivers": row,
                "map": map_uri(scores[index], layout, LARGE if large else SMALL),
                "members": _places(members, given) if large and len(members) <= MARKED else None,
                "tokens": own,
                "list_tokens": list(dict.fromkeys(each["token"].strip() or "␣" for each in own))[
                    :LIST_TOKENS
                ],
                "texts": _texts(texts.get(index), courses[:, index], first_row, given, large),
            }
        )
    return found


def _places(members: list[int], given: ReportInput) -> list[tuple[int, int]]:
    return [given.networks.layout.locate(neuron) for neuron in members]


def _strengths(
    course: Array, text: int, start: int, end: int, first_row: NDArray[np.int64], signals: Signals
) -> list[float | None]:
    """Strength of the tokens from start to end of a text; None where a token has no row."""
    skipped = signals.first_tokens_excluded
    return [
        round(float(course[first_row[text] + place - skipped]), 1) if place >= skipped else None
        for place in range(start, end)
    ]


def _contexts(
    given: ReportInput, tokens: pd.DataFrame | None, course: Array, first_row: NDArray[np.int64]
) -> list[dict[str, Any]]:
    if tokens is None:
        return []
    found = []
    for row in tokens.itertuples():
        text, position = int(row.text), int(row.position)  # type: ignore[arg-type]
        start = max(0, position - given.context)
        end = min(given.signals.texts.lengths[text], position + given.context + 1)
        found.append(
            {
                "text": text,
                "start": start,
                "position": position,
                "token": given.drivers.features.pieces[text][position],
                "strength": float(row.strength),  # type: ignore[arg-type]
                "values": _strengths(course, text, start, end, first_row, given.signals),
            }
        )
    return found


def _texts(
    texts: pd.DataFrame | None,
    course: Array,
    first_row: NDArray[np.int64],
    given: ReportInput,
    large: bool,
) -> list[dict[str, Any]]:
    if texts is None:
        return []
    found = []
    for row in texts.itertuples():
        text = int(row.text)  # type: ignore[arg-type]
        full = large and row.rank == 1
        end = min(given.signals.texts.lengths[text], TEXT_TOKENS)
        values = _strengths(course, text, 0, end, first_row, given.signals) if full else []
        found.append({"text": text, "strength": row.root_mean_square, "values": values})
    return found


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


def _connectivity(given: ReportInput) -> dict[str, Any] | None:
    if given.connectivity is None:
        return None
    values, order, how = given.connectivity
    return {**matrix(values, order, top=max(0.2, _largest(values))), "how": how}


def without_nan(value: Any) -> Any:
    """Plain json: NaN and infinities, which json does not know, become null."""
    if isinstance(value, dict):
        return {str(key): without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
