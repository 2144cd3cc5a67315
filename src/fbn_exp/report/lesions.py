"""Keep the lesion of a single network, and show it in the report of the run that extracted it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fbn_exp.benchmarks.evaluator import Evaluation
from fbn_exp.benchmarks.lesions import keep_lesions, lesion_folder
from fbn_exp.core.errors import DiskError, NetworksError
from fbn_exp.core.locks import held
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.html.page import refresh_lesions
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


def keep_lesion(
    evaluation: Evaluation,
    networks: FunctionalNetworks,
    threshold: Threshold,
    cache: Path,
    benchmark: dict[str, Any],
    networks_folder: str | None,
    remarks: Sequence[str] = (),
) -> None:
    """Keep the scores of a single network's lesion; refresh ``report.html`` beside the networks' folder."""
    folder = lesion_folder(networks, cache)
    (network,) = evaluation.target.networks
    size = evaluation.target.size
    described = threshold.describe()
    keep_lesions(evaluation.comparisons, network, size, described, benchmark, folder, remarks)
    report = None if networks_folder is None else Path(networks_folder).resolve().parent / "report.html"
    if report is None or not report.is_file():
        return
    try:
        # jobs of a sweep share the report; the last one reads the records of all
        with held(folder / ".report"):
            refresh_lesions(report, cache)
    except (NetworksError, DiskError, OSError) as error:
        log.warning("the lesion is kept, but its report cannot be refreshed: %s", error)
    else:
        log.info("report with this lesion: %s", report)
