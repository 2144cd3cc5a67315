"""What drives the networks, and the report: the last tables and the page of an extraction."""

import logging
from pathlib import Path

import numpy as np
from torch import Tensor

from fbn_exp.analysis.connectivity import connectivity
from fbn_exp.analysis.drivers import FEATURES, drivers
from fbn_exp.analysis.tokens import Array
from fbn_exp.benchmarks.lesions import known_lesions, lesion_folder
from fbn_exp.core.errors import SignalError
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.load import LanguageModel
from fbn_exp.networks.extractor import Extraction
from fbn_exp.report.config import FiguresConfig
from fbn_exp.report.console import remarks
from fbn_exp.report.html.content import ReportInput, report_content
from fbn_exp.report.html.page import write_report
from fbn_exp.signals.base import Signals
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)

COLUMNS = (
    "kurtosis",
    "massive_share",
    "strongest_energy",
    "first_token_energy",
    "driver_position_any",
    "driver_domain",
)


def describe_drivers(
    lm: LanguageModel,
    extraction: Extraction,
    threshold: Threshold,
    figures: FiguresConfig,
    cache: Path,
    folder: RunFolder,
) -> None:
    """Write tables, numbers and the page; the table of strongest tokens must be in the folder.

    Numbers that do not apply, such as the correlation with a first token that was left out, are missing
    from the metrics and empty in the table.
    """
    networks, signals = extraction.networks, extraction.signals
    courses = extraction.method.time_courses_
    found = drivers(lm, signals, courses, networks.masks(threshold))
    folder.add_table("drivers", found.table)
    folder.add_table("strongest_texts", found.texts)
    columns = (*COLUMNS, *(f"driver_{name}" for name in FEATURES))
    numbers = {
        f"network/{row['network']}/{name}": float(row[name])
        for row in found.table.to_dict("records")
        for name in columns
        if np.isfinite(row[name])
    }
    folder.add_metrics(numbers)
    content = report_content(
        ReportInput(
            networks=networks,
            threshold=threshold,
            signals=signals,
            time_courses=courses,
            drivers=found,
            tokens=folder.tables["strongest_tokens"],
            metrics=folder.metrics,
            remarks=remarks(folder.metrics),
            max_networks=figures.max_networks,
            context=figures.context_tokens,
            lesions=known_lesions(lesion_folder(networks, cache)),
            connectivity=_connectivity(courses, signals),
        )
    )
    file = folder.path / "report.html"
    write_report(content, file)
    folder.artifacts["report"] = Path(file)
    folder.write()


def _connectivity(courses: Tensor, signals: Signals) -> tuple[Array, list[int], str] | None:
    """Correlations for the page; none where the texts are too few or too short for them."""
    try:
        # the page shows no interval, so none is drawn: it costs as much as all the rest
        found = connectivity(courses.double().numpy(), signals.rows, draws=1)
    except SignalError as error:
        log.info("the report is without connectivity: %s", error)
        return None
    how = (
        f"Pearson's correlation of the time courses within each text, averaged over {found.n_texts} texts; "
        "networks in the order of their clustering. Intervals and partial correlations: "
        "evaluate.py analysis=connectivity."
    )
    return found.correlation.mean, list(found.order), how
