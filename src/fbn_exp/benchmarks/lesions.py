"""What lesions of single networks did, kept in the cache so that a report of the same networks shows it."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.core.files import digest, write_json
from fbn_exp.networks.artifact import FunctionalNetworks

log = logging.getLogger(__name__)

FIELDS = ("network", "threshold", "neurons", "task", "metric", "n", "value", "baseline", "delta")


def networks_digest(networks: FunctionalNetworks) -> str:
    """SHA-256 over maps, layout and weights of the model: the same for networks that came out the same."""
    described = json.dumps([networks.layout.to_dict(), networks.provenance.get("weight_digest")])
    maps = networks.maps.detach().cpu().contiguous().numpy()
    return hashlib.sha256(described.encode() + maps.tobytes()).hexdigest()


def keep_lesions(
    comparisons: Sequence[Comparison],
    network: int,
    neurons: int,
    threshold: str,
    benchmark: dict[str, Any],
    folder: Path,
) -> None:
    """Write one small file per metric; the same lesion scored again replaces it.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Scores under inhibition of one network.
    network, neurons : int
        Its index, and the number of its neurons at the threshold.
    threshold : str
        The rule in words.
    benchmark : dict
        Everything that determines the benchmark's items, plain json.
    folder : Path
        ``lesion_folder`` of the networks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for each in comparisons:
        found = [score.value for scores in each.controls.values() for score in scores]
        record = {
            "network": network,
            "threshold": threshold,
            "neurons": neurons,
            "task": each.score.task,
            "metric": each.score.metric,
            "n": each.score.n,
            "value": each.score.value,
            "baseline": each.baseline.value,
            "delta": each.delta.value,
            "ci_low": each.delta.ci_low,
            "ci_high": each.delta.ci_high,
            "higher_is_better": each.score.higher_is_better,
            "controls": len(found),
            "control_delta": float(np.mean(found)) - each.baseline.value if found else None,
        }
        key = {name: record[name] for name in ("network", "threshold", "task", "metric")}
        write_json(folder / f"{digest({**key, 'benchmark': benchmark})}.json", record)


def lesion_folder(networks: FunctionalNetworks, cache: Path) -> Path:
    """Where the records about these very networks are."""
    return cache / "lesions" / networks_digest(networks)


def known_lesions(folder: Path) -> list[dict[str, Any]]:
    """Records by network, task and metric; a file that is none is passed over and said."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log.warning("lesion record %s is unreadable: %s", file, error)
            continue
        if isinstance(record, dict) and all(name in record for name in FIELDS):
            found.append(record)
        else:
            log.warning("%s is no lesion record", file)
    return sorted(found, key=lambda each: (each["network"], each["task"], each["metric"], each["threshold"]))
