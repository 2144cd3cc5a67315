"""Text → signals → networks: record a model's neurons over texts and decompose them into networks."""

import resource
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from fbn_exp.analysis.tokens import strongest_tokens
from fbn_exp.core import ranks
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.models.load import LanguageModel, load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.cache import cache_entry, keep_networks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.networks.masks import block_shares, mask_metrics
from fbn_exp.reliability.icasso import Centrotypes
from fbn_exp.report.console import print_summary
from fbn_exp.report.extraction import describe_drivers
from fbn_exp.report.figures import networks as figures
from fbn_exp.report.reliability import describe_reliability
from fbn_exp.signals.base import Signals
from fbn_exp.stages.build import Parts, extraction_parts, plain
from fbn_exp.stages.rank_resources import rank_resources
from fbn_exp.stages.track import track
from fbn_exp.thresholds.base import Threshold
from fbn_exp.tracking.base import RunInfo


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
    folder = RunFolder(Path(cfg.run.folder), "extract")
    info = RunInfo("extract", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        lm = load(parts.model, parts.cache)
        extractor = parts.extractor()
        texts = extractor.texts(lm)
        with extractor.extracted(lm, texts, folder.path) as extraction:
            try:
                _save(extraction, parts, folder)
            finally:
                # the cache may have room where the run folder has none
                entry = cache_entry(extractor, lm, texts, parts.cache)
                keep_networks(extraction.networks, entry, parts.threshold)
            _describe(parts, lm, extraction, folder)
        track(tracked, folder)
        provenance = extraction.networks.provenance
        tracked.networks(str(provenance["model"]), folder.artifacts["networks"], provenance)
    print_summary(folder, extraction.networks, parts.threshold)
    return folder.metrics["explained_variance"]


def _signal_metrics(signals: Signals) -> dict[str, float]:
    norms = signals.row_norms
    return {
        "signals/tokens": signals.values.shape[0],
        "signals/neurons": signals.values.shape[1],
        "signals/texts": len(signals.texts),
        "signals/row_norm_median": norms.median,
        "signals/row_norm_largest": norms.largest,
        "signals/outlier_tokens": norms.outliers,
        "signals/outlier_share": norms.outlier_share,
        "recording/tokens_per_second": signals.tokens_per_second,
    }


def _save(extraction: Extraction, parts: Parts, folder: RunFolder) -> None:
    """Save at once: nothing that follows can lose the networks."""
    method = extraction.method
    extraction.networks.save(folder.path / "networks", parts.threshold)
    folder.artifacts["networks"] = folder.path / "networks"
    folder.add_metrics(_signal_metrics(extraction.signals))
    folder.add_metrics({"seconds": extraction.seconds, **method.metrics_}, prefix="method/")
    folder.add_metrics({"explained_variance": method.explained_variance_})


def _describe(parts: Parts, lm: LanguageModel, extraction: Extraction, folder: RunFolder) -> None:
    """Tables, pictures and numbers about the networks."""
    wanted = parts.figures
    networks, signals = extraction.networks, extraction.signals
    folder.add_table("networks", network_table(networks, parts.threshold))
    courses = extraction.method.time_courses_
    tokens = strongest_tokens(lm, signals, courses, wanted.strongest_tokens, wanted.context_tokens)
    folder.add_table("strongest_tokens", tokens)
    pictures = figures.draw_all(
        networks, parts.threshold, folder.path / "figures", wanted.max_networks, wanted.dpi
    )
    folder.artifacts.update({f"figures/{name}": file for name, file in pictures.items()})
    masks = networks.masks(parts.threshold)
    folder.add_metrics(
        {
            **mask_metrics(masks),
            "memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    )
    for index, size in enumerate(masks.sum(dim=1).tolist()):
        explained = networks.statistics["explained_variance_ratio"][index]
        folder.add_metrics({"size": size, "explained_variance": explained}, prefix=f"network/{index}/")
    if isinstance(extraction.method, Centrotypes):
        describe_reliability(extraction.method.report_, networks, folder, wanted.dpi)
    describe_drivers(lm, extraction, parts.threshold, wanted, parts.cache, folder)


def network_table(networks: FunctionalNetworks, threshold: Threshold) -> pd.DataFrame:
    """One row per network: size, explained variance, where its neurons are."""
    masks = networks.masks(threshold)
    shares = block_shares(masks, networks.layout)
    main = shares.argmax(dim=1)
    table = pd.DataFrame(
        {
            "network": range(len(networks)),
            "size": masks.sum(dim=1).tolist(),
            "share_of_neurons": masks.double().mean(dim=1).tolist(),
            **networks.statistics,
            "main_block": main.tolist(),
            "share_in_main_block": shares.gather(1, main[:, None])[:, 0].tolist(),
            "blocks_reached": (shares > 0).sum(dim=1).tolist(),
        }
    )
    return table.join(pd.DataFrame(shares.numpy()).add_prefix("share_in_block_"))
