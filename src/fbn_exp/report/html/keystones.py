"""Labels of networks that hold keystones, in a new report and in one that is there already."""

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fbn_exp.analysis.config import MINIMUM_NATS
from fbn_exp.analysis.keystones.scan import KeystoneScan
from fbn_exp.benchmarks.lesions import networks_digest
from fbn_exp.core.errors import DiskError, NetworksError
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.report.html.content import without_nan
from fbn_exp.report.html.page import content_of, write_report
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


def keystone_labels(
    scans: Sequence[KeystoneScan], masks: Tensor, minimum_nats: float = MINIMUM_NATS
) -> list[list[dict[str, Any]]] | None:
    """Keystones of each network as plain json, the costliest first; None if there is no scan.

    Parameters
    ----------
    scans : sequence of KeystoneScan
        Scans of the model that the networks belong to; a neuron of several has its largest cost.
    masks : Tensor of shape (K, N), bool
        Members of each network.
    minimum_nats : float
        Threshold of a keystone.
    """
    if not scans:
        return None
    known: dict[int, dict[str, Any]] = {}
    for scan in scans:
        for place in scan.keystones(minimum_nats):
            neuron, nats = scan.neurons[place], float(scan.nats[place])
            block, index = scan.layout.locate(neuron.column)
            if neuron.column not in known or not nats <= known[neuron.column]["nats"]:
                about = {"block": block, "index": index, "nats": nats, "tokens": scan.costs_at(place)}
                known[neuron.column] = about
    costliest = sorted(known, key=lambda column: -known[column]["nats"])
    return [[known[column] for column in costliest if mask[column]] for mask in masks]


def refresh_keystones(
    scan: KeystoneScan, networks: FunctionalNetworks, threshold: Threshold, folder: str | None
) -> None:
    """Label the networks in ``report.html`` beside their folder, if it is of these networks and members.

    Parameters
    ----------
    scan : KeystoneScan
        A scan of the model.
    networks : FunctionalNetworks
        The networks.
    threshold : Threshold
        Rule of membership.
    folder : str or None
        Folder that the networks were loaded from.
    """
    report = None if folder is None else local_folder(folder).resolve().parent / "report.html"
    if report is None or not report.is_file():
        return
    try:
        content = content_of(report)
        if (content["digest"], content["threshold"]) != (networks_digest(networks), threshold.describe()):
            return
        labels = keystone_labels([scan], networks.masks(threshold)) or []
        cards = [
            {**card, "keystones": label} for card, label in zip(content["networks"], labels, strict=True)
        ]
        write_report(without_nan({**content, "networks": cards}), report)
    except (NetworksError, DiskError, OSError) as error:
        log.warning("the report of the networks cannot be refreshed: %s", error)
    else:
        log.info("report with the keystones: %s", report)
