"""Text → signals → networks: record a model's neurons over texts and decompose them into networks."""

import logging

from omegaconf import DictConfig

from fbn_exp.core import ranks
from fbn_exp.core.checks import typed
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.load import load
from fbn_exp.networks.cache import cache_entry, keep_networks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.networks.sharing.config import SharingConfig
from fbn_exp.networks.sharing.push import push, require_writable
from fbn_exp.report.networks import extraction_metrics
from fbn_exp.report.presentation import Presentation
from fbn_exp.stages.build import Parts, extraction_parts
from fbn_exp.stages.rank_resources import rank_resources
from fbn_exp.stages.results import opened_run, track
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


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
        If a setting, the model, the texts or the signals cannot be used, or the networks cannot be pushed.
    """
    parts, sharing = extraction_parts(cfg), typed(cfg.networks, SharingConfig)
    return ranks.run_on_leader(lambda: _extract(cfg, parts, sharing), rank_resources(parts))


def _extract(cfg: DictConfig, parts: Parts, sharing: SharingConfig) -> float:
    """Extract on rank 0; the other ranks help to record."""
    if sharing.repository is not None:
        require_writable(sharing.repository)
    with opened_run(cfg, "extract", parts.tracker) as (folder, tracked):
        lm = load(parts.model, parts.cache)
        extractor = parts.extractor()
        texts = extractor.texts(lm)
        with extractor.extracted(lm, texts, folder.path) as extraction:
            try:
                _save(extraction, parts.threshold, folder)
            finally:
                # the disk of the cache may have room if that of the run folder has none
                entry = cache_entry(extractor, lm, texts, parts.cache)
                keep_networks(extraction.networks, entry, parts.threshold)
            # late: matplotlib takes seconds to import
            from fbn_exp.stages.describe import describe_extraction, show

            presentation = describe_extraction(parts, lm, extraction, folder)
        track(tracked, folder)
        provenance = extraction.networks.provenance
        tracked.networks(str(provenance["model"]), folder.artifacts["networks"], provenance)
    show(
        presentation,
        ("Networks:", folder.artifacts["networks"]),
        ("Pictures:", folder.figures["overview"]),
        ("Report:  ", folder.artifacts["report"]),
    )
    _share(extraction, parts.threshold, presentation, folder, sharing)
    return extraction.method.explained_variance_


def _share(
    extraction: Extraction,
    threshold: Threshold,
    presentation: Presentation,
    folder: RunFolder,
    sharing: SharingConfig,
) -> None:
    """Push the networks to the hub, if a repository is named; they stay in the run folder."""
    if sharing.repository is None:
        return
    from fbn_exp.report.card import model_card

    drivers = presentation.tables["drivers"]
    card = model_card(extraction.networks, threshold, sharing.repository, sharing.license, drivers)
    try:
        address = push(folder.artifacts["networks"], card, sharing.repository, sharing.private)
    except NetworksError as error:
        raise NetworksError(f"the networks are in {folder.artifacts['networks']}, but: {error}") from error
    log.info("networks on the hub: %s", address)


def _save(extraction: Extraction, threshold: Threshold, folder: RunFolder) -> None:
    """Save the networks at once, so that later errors cannot lose them."""
    folder.artifacts["networks"] = folder.path / "networks"
    extraction.networks.save(folder.artifacts["networks"], threshold)
    folder.add_metrics(extraction_metrics(extraction))
    folder.write()
