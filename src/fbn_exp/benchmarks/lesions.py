"""Records of lesions of single networks in the cache, for later reports of the same networks."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.core.files import SEAL, digest, sealed, unsealed, write_json
from fbn_exp.networks.artifact import FunctionalNetworks

log = logging.getLogger(__name__)

# generated texts of a record, and the characters of each
TEXTS, CHARACTERS = 3, 600
FIELDS = ("network", "threshold", "neurons", "task", "metric", "n", "value", "baseline", "delta")


def networks_digest(networks: FunctionalNetworks) -> str:
    """SHA-256 over maps, layout and weights of the model: equal for equal networks."""
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
    remarks: Sequence[str] = (),
) -> None:
    """Write one file per metric; scoring the same lesion again replaces it.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Comparisons under inhibition of one network.
    network, neurons : int
        Index of the network, and its number of neurons at the threshold.
    threshold : str
        Rule of membership, in words.
    benchmark : dict
        Key of the benchmark: all that determines its items, as plain json.
    folder : Path
        Folder of the records, as by ``lesion_folder``.
    remarks : sequence of str
        Caveats about the scores, for the reports that show them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # metrics of one task are of the same texts
    generated = {each.score.task: each for each in reversed(comparisons) if each.score.texts is not None}
    for comparison in comparisons:
        drawn = [scores for kind, scores in comparison.controls.items() if kind.is_chance]
        controls = [score.value for scores in drawn for score in scores]
        record = {
            "network": network,
            "threshold": threshold,
            "neurons": neurons,
            "task": comparison.score.task,
            "metric": comparison.score.metric,
            "n": comparison.score.n,
            "value": comparison.score.value,
            "baseline": comparison.baseline.value,
            "delta": comparison.delta.value,
            "ci_low": comparison.delta.ci_low,
            "ci_high": comparison.delta.ci_high,
            "higher_is_better": comparison.score.higher_is_better,
            "controls": len(controls),
            "remarks": list(remarks),
            "texts": _generated(comparison) if generated.get(comparison.score.task) is comparison else [],
            "control_delta": float(np.mean(controls)) - comparison.baseline.value if controls else None,
        }
        key = {name: record[name] for name in ("network", "threshold", "task", "metric")}
        file = folder / f"{digest({**key, 'benchmark': benchmark})}.json"
        write_json(file, sealed(record))


def _generated(comparison: Comparison) -> list[dict[str, str]]:
    """Beginning of a few generated texts: untouched, with the lesion, with one control if there is one."""
    columns = {"untouched": comparison.baseline.texts, "lesion": comparison.score.texts}
    kind = next((each for each in comparison.controls if each.is_chance), None)
    if kind is not None:
        columns["control"] = comparison.controls[kind][0].texts
    known = {name: texts for name, texts in columns.items() if texts is not None}
    rows = zip(*(texts[:TEXTS] for texts in known.values()), strict=True)
    return [{name: text[:CHARACTERS] for name, text in zip(known, row, strict=True)} for row in rows]


def lesion_folder(networks: FunctionalNetworks, cache: Path) -> Path:
    """Folder of the records of these networks in the cache."""
    return cache / "lesions" / networks_digest(networks)


def known_lesions(folder: Path) -> list[dict[str, Any]]:
    """Read all records, sorted by network, task and metric; other files are skipped with a warning."""
    records = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            log.warning("lesion record %s is unreadable: %s", file, error)
            continue
        if not isinstance(record, dict) or not all(name in record for name in (*FIELDS, SEAL)):
            log.warning("%s is no lesion record, or one without a digest: evaluate again", file)
            continue
        try:
            records.append(unsealed(record))
        except ValueError:
            log.warning("lesion record %s was changed, as its digest shows: evaluate again", file)
    return sorted(
        records, key=lambda entry: (entry["network"], entry["task"], entry["metric"], entry["threshold"])
    )
