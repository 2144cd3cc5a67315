"""Describe the networks of an extraction: numbers, tables, pictures and the html report."""

from fbn_exp.analysis.description import describe
from fbn_exp.analysis.keystones.scan import known_scans
from fbn_exp.benchmarks.lesions import known_lesions, lesion_folder
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.extractor import Extraction
from fbn_exp.reliability.icasso import Centrotypes
from fbn_exp.report.console import show
from fbn_exp.report.extraction import present_extraction
from fbn_exp.report.html.content import report_content
from fbn_exp.report.html.keystones import keystone_labels
from fbn_exp.report.html.page import write_report
from fbn_exp.report.presentation import Presentation
from fbn_exp.stages.build import Parts
from fbn_exp.stages.results import keep

__all__ = ["describe_extraction", "show"]


def describe_extraction(
    parts: Parts, lm: LanguageModel, extraction: Extraction, folder: RunFolder
) -> Presentation:
    """Write numbers, tables, pictures and the html report into the run folder."""
    wanted, method = parts.figures, extraction.method
    described = describe(lm, extraction, parts.threshold, wanted.strongest_tokens, wanted.context_tokens)
    report = method.report_ if isinstance(method, Centrotypes) else None
    presentation = present_extraction(described, report, wanted.max_networks)
    keep(presentation, folder, wanted.dpi)
    lesions = known_lesions(lesion_folder(extraction.networks, parts.cache))
    keystones = keystone_labels(known_scans(parts.cache, lm, extraction.networks.layout), described.masks)
    page = report_content(
        described, presentation.remarks, lesions, wanted.max_networks, wanted.context_tokens, keystones
    )
    file = folder.path / "report.html"
    write_report(page, file)
    folder.artifacts["report"] = file
    folder.write()
    return presentation
