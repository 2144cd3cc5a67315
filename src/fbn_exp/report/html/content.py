"""Content of the html report as plain json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fbn_exp.analysis.connectivity import Connectivity
from fbn_exp.analysis.description import Description
from fbn_exp.analysis.drivers import FEATURES
from fbn_exp.benchmarks.lesions import networks_digest
from fbn_exp.core.rows import Array
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.report.html.cards import network_cards
from fbn_exp.report.html.pictures import data_uri
from fbn_exp.report.reliability import COLUMNS

FORMAT = "fbn_exp report 1"
PAIRS = 8


def report_content(
    description: Description,
    remarks: Sequence[str],
    lesions: list[dict[str, Any]],
    max_networks: int,
    context: int,
    keystones: Sequence[Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Build the content of the report: plain json without NaN.

    Parameters
    ----------
    description : Description
        The networks and their description.
    remarks : sequence of str
        Caveats about the networks.
    lesions : list of dict
        Result of ``known_lesions``.
    max_networks, context : int
        Arguments of ``network_cards``.
    keystones : sequence of sequences, optional
        Result of ``keystone_labels``.
    """
    networks = description.extraction.networks
    cards = network_cards(description, max_networks, context)
    for card in cards:
        card["keystones"] = None if keystones is None else keystones[card["index"]]
    iou = intersection_over_union(description.masks, description.masks).numpy()
    content = {
        "format": FORMAT,
        "digest": networks_digest(networks),
        "model": str(networks.provenance.get("model", "unknown model")),
        "threshold": description.threshold.describe(),
        "neurons": networks.layout.n_neurons,
        "block_paths": [block.path for block in networks.layout.blocks],
        "widest": max(block.width for block in networks.layout.blocks),
        "summary": _summary(description),
        "remarks": with_remarks_of(lesions, remarks),
        "features": list(FEATURES),
        "reliability": {name: title for name, title in COLUMNS.items() if name in networks.statistics},
        "labels": sorted({card["label"] for card in cards}),
        "networks": cards,
        "texts": _texts(description, cards),
        "lesions": lesions,
        "overlap": matrix(iou, list(range(len(networks))), top=max(0.05, _largest(iou))),
        "connectivity": _connectivity(description.connectivity),
    }
    plain = without_nan(content)
    assert isinstance(plain, dict)
    return plain


def with_remarks_of(lesions: Sequence[Mapping[str, Any]], remarks: Sequence[str]) -> list[str]:
    """Remarks about networks and, each once, about the lesions of them."""
    said = (str(remark) for lesion in lesions for remark in lesion.get("remarks", []))
    return list(dict.fromkeys([*remarks, *said]))


def _texts(description: Description, cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Origin and tokens of every text that a card shows."""
    used = {each["text"] for card in cards for each in (*card["tokens"], *card["texts"])}
    documents = description.extraction.signals.texts.documents
    pieces = description.drivers.features.pieces
    return {str(text): {"origin": documents[text].origin, "pieces": pieces[text]} for text in sorted(used)}


def _summary(description: Description) -> list[tuple[str, str]]:
    extraction, networks = description.extraction, description.extraction.networks
    provenance, recorded = networks.provenance, extraction.signals
    config = provenance.get("config", {})
    method, signals = dict(config.get("method", {})), dict(config.get("signals", {}))
    name = str(method.pop("_target_", "unknown")).rsplit(".", 1)[-1]
    union = int(description.masks.any(dim=0).sum())
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
        ("Members", description.threshold.describe()),
        ("Found", f"{len(networks)} networks, together {union:,} neurons "
                  f"({union / networks.layout.n_neurons:.2%}), "
                  f"{extraction.method.explained_variance_:.1%} of the variance"),
        ("Weights", f"digest {weights[:12]}, fbn_exp {provenance.get('version')}"),
    ]  # fmt: skip


def matrix(values: Array, order: list[int], top: float) -> dict[str, Any]:
    """Describe a symmetric matrix: a picture, its upper triangle in thousandths, and its strongest pairs."""
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


def _connectivity(connectivity: Connectivity | None) -> dict[str, Any] | None:
    if connectivity is None:
        return None
    values = connectivity.correlation.mean
    how = (
        "Pearson's correlation of the time courses within each text, averaged over "
        f"{connectivity.n_texts} texts; networks in the order of their clustering. They are the texts "
        "that the networks were fitted to: temporal ICA and PCA make its mean over all tokens 0 there. "
        "Other texts, intervals and partial correlations: evaluate.py analysis=connectivity."
    )
    return {**matrix(values, list(connectivity.order), top=max(0.2, _largest(values))), "how": how}


def without_nan(value: Any) -> Any:
    """Replace NaN and infinities, which json does not have, by null."""
    if isinstance(value, dict):
        return {str(key): without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
