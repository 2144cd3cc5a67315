"""Text → signals → networks: record a model's neurons over texts and decompose them into networks."""

from omegaconf import DictConfig

from fbn_exp.analysis.description import describe
from fbn_exp.benchmarks.lesions import known_lesions, lesion_folder
from fbn_exp.core import ranks
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.load import LanguageModel, load
from fbn_exp.networks.cache import cache_entry, keep_networks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.reliability.icasso import Centrotypes
from fbn_exp.report.console import show
from fbn_exp.report.extraction import extraction_metrics, present_extraction
from fbn_exp.report.html.content import report_content
from fbn_exp.report.html.page import write_report
from fbn_exp.report.presentation import Presentation
from fbn_exp.stages.build import Parts, extraction_parts
from fbn_exp.stages.rank_resources import rank_resources
from fbn_exp.stages.results import keep, opened_run, track
from fbn_exp.thresholds.base import Threshold


def run(cfg: DictConfig) -> float | None:
    """Extract networks as ``conf/extract.yaml`` composes it.

    Parameters
    ----------
    cfg : DictConfig
        An ``ExtractConfig``; ``run.folder`` says where everything is written.

    Returns
    -------
    float
        Share of the signals' variance that the networks explain together.

    Raises
    ------
    FbnError
        If a setting, the model, the texts or the signals cannot be used.
    """
    parts = extraction_parts(cfg)
    return ranks.run_on_leader(lambda: _extract(cfg, parts), rank_resources(parts))


def _extract(cfg: DictConfig, parts: Parts) -> float:
    """What rank 0 does; other ranks help it to record."""
    with opened_run(cfg, "extract", parts.tracker) as (folder, tracked):
        lm = load(parts.model, parts.cache)
        extractor = parts.extractor()
        texts = extractor.texts(lm)
        with extractor.extracted(lm, texts, folder.path) as extraction:
            try:
                _save(extraction, parts.threshold, folder)
            finally:
                # the cache may have room where the run folder has none
                entry = cache_entry(extractor, lm, texts, parts.cache)
                keep_networks(extraction.networks, entry, parts.threshold)
            found = _describe(parts, lm, extraction, folder)
        track(tracked, folder)
        provenance = extraction.networks.provenance
        tracked.networks(str(provenance["model"]), folder.artifacts["networks"], provenance)
    show(
        found,
        ("Networks:", folder.artifacts["networks"]),
        ("Pictures:", folder.figures["overview"]),
        ("Report:  ", folder.artifacts["report"]),
    )
    return extraction.method.explained_variance_


def _save(extraction: Extraction, threshold: Threshold, folder: RunFolder) -> None:
    """Save at once: nothing that follows can lose the networks."""
    folder.artifacts["networks"] = folder.path / "networks"
    extraction.networks.save(folder.artifacts["networks"], threshold)
    folder.add_metrics(extraction_metrics(extraction))
    folder.write()


def _describe(parts: Parts, lm: LanguageModel, extraction: Extraction, folder: RunFolder) -> Presentation:
    """Keep tables, pictures, numbers and the page about the networks."""
    wanted, method = parts.figures, extraction.method
    described = describe(lm, extraction, parts.threshold, wanted.strongest_tokens, wanted.context_tokens)
    report = method.report_ if isinstance(method, Centrotypes) else None
    found = present_extraction(described, report, wanted.max_networks)
    keep(found, folder, wanted.dpi)
    lesions = known_lesions(lesion_folder(extraction.networks, parts.cache))
    page = report_content(described, found.remarks, lesions, wanted.max_networks, wanted.context_tokens)
    file = folder.path / "report.html"
    write_report(page, file)
    folder.artifacts["report"] = file
    folder.write()
    return found
