"""Text → signals → networks: record a model's neurons over texts and decompose them into networks."""

import logging
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

import fbn_exp
from fbn_exp import activations, figures
from fbn_exp.activations import Signals, recorded
from fbn_exp.config.choices import Site
from fbn_exp.config.options import FiguresConfig, ModelConfig, SignalsConfig
from fbn_exp.datasets import TextDataset
from fbn_exp.methods.base import Decomposition
from fbn_exp.models import LanguageModel, load
from fbn_exp.networks import FunctionalNetworks, block_shares, intersection_over_union
from fbn_exp.stages.build import built, plain, typed
from fbn_exp.stages.run_folder import RunFolder
from fbn_exp.stages.summary import print_summary
from fbn_exp.strongest_tokens import strongest_tokens
from fbn_exp.thresholds import Threshold
from fbn_exp.tracking import RunInfo, TrackedRun, Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """The config as objects, all of them checked."""

    site: Site
    cache: Path
    model: ModelConfig
    dataset: TextDataset
    signals: SignalsConfig
    method: Decomposition
    threshold: Threshold
    tracker: Tracker
    figures: FiguresConfig


def _parts(cfg: DictConfig) -> _Parts:
    signals = typed(cfg.signals, SignalsConfig)
    activations.check(signals)
    pictures = typed(cfg.figures, FiguresConfig)
    figures.check(pictures)
    return _Parts(
        site=cfg.site,
        cache=Path(cfg.cache),
        model=typed(cfg.model, ModelConfig),
        dataset=built(cfg.dataset, TextDataset),  # type: ignore[type-abstract]
        signals=signals,
        method=built(cfg.method, Decomposition),  # type: ignore[type-abstract]
        threshold=built(cfg.threshold, Threshold),  # type: ignore[type-abstract]
        tracker=built(cfg.tracking, Tracker),  # type: ignore[type-abstract]
        figures=pictures,
    )


def run(cfg: DictConfig) -> float:
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
    parts = _parts(cfg)
    folder = RunFolder(Path(cfg.run.folder), "extract")
    info = RunInfo("extract", cfg.run.name, folder.path, cfg.run.sweep, plain(cfg))
    with parts.tracker.run(info) as tracked:
        lm = load(parts.model, parts.cache)
        layout = lm.layout(parts.site)
        texts = parts.dataset.sample(lm.tokenizer)
        log.info("%d texts, %s tokens from %s", len(texts), f"{texts.n_tokens:,}", parts.dataset.describe())
        log.info("%s: %s", lm.name, layout.describe())
        with recorded(lm, texts, layout, parts.signals, folder.path / "scratch") as signals:
            folder.add_metrics(_signal_metrics(signals))
            networks = _decompose(parts, lm, signals, folder, info)
            _describe(parts, lm, signals, networks, folder)
        _track(tracked, folder, networks)
    print_summary(folder, networks, parts.threshold)
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


def _decompose(
    parts: _Parts, lm: LanguageModel, signals: Signals, folder: RunFolder, info: RunInfo
) -> FunctionalNetworks:
    """Fit, and save at once: nothing that follows can lose the networks."""
    started = time.perf_counter()
    method = parts.method.fit(signals.values)
    seconds = time.perf_counter() - started
    statistics = {"explained_variance_ratio": method.explained_variance_ratio_.tolist()}
    neurons = {
        "mean": signals.neurons.mean.float(),
        "standard_deviation": signals.neurons.standard_deviation.float(),
        "mean_absolute": signals.neurons.mean_absolute.float(),
    }
    provenance = {
        "model": lm.name,
        "revision": lm.revision,
        "weight_digest": lm.weight_digest,
        "dtype": str(lm.model.dtype).removeprefix("torch."),
        "texts_digest": signals.texts.digest,
        "texts": parts.dataset.describe(),
        "config": {name: info.config[name] for name in ("seed", "site", "dataset", "signals", "method")},
        "metrics": method.metrics_,
        "version": fbn_exp.__version__,
    }
    networks = FunctionalNetworks(method.maps_, signals.layout, statistics, neurons, provenance)
    networks.save(folder.path / "networks", parts.threshold)
    folder.artifacts["networks"] = folder.path / "networks"
    folder.add_metrics({"seconds": seconds, **method.metrics_}, prefix="method/")
    folder.add_metrics({"explained_variance": float(method.explained_variance_ratio_.sum())})
    return networks


def _describe(
    parts: _Parts, lm: LanguageModel, signals: Signals, networks: FunctionalNetworks, folder: RunFolder
) -> None:
    """Tables, pictures and numbers about the networks."""
    wanted = parts.figures
    folder.add_table("networks", network_table(networks, parts.threshold))
    courses = parts.method.time_courses_
    tokens = strongest_tokens(lm, signals, courses, wanted.strongest_tokens, wanted.context_tokens)
    folder.add_table("strongest_tokens", tokens)
    pictures = figures.draw_all(
        networks, parts.threshold, folder.path / "figures", wanted.max_networks, wanted.dpi
    )
    folder.artifacts.update({f"figures/{name}": file for name, file in pictures.items()})
    masks = networks.masks(parts.threshold)
    others = intersection_over_union(masks, masks).fill_diagonal_(0)
    folder.add_metrics(
        {
            "networks": len(networks),
            "networks/union_size": int(masks.any(dim=0).sum()),
            "networks/empty": int((~masks.any(dim=1)).sum()),
            "networks/largest_iou": float(others.max()),
            "memory/peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    )
    for index, size in enumerate(masks.sum(dim=1).tolist()):
        explained = networks.statistics["explained_variance_ratio"][index]
        folder.add_metrics({"size": size, "explained_variance": explained}, prefix=f"network/{index}/")


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


def _track(tracked: TrackedRun, folder: RunFolder, networks: FunctionalNetworks) -> None:
    tracked.metrics(folder.metrics)
    for name, file in folder.artifacts.items():
        kind, _, short = name.partition("/")
        if kind == "tables":
            tracked.table(short, pd.read_csv(file, keep_default_na=False))
        elif kind == "figures":
            tracked.figure(name, file)
    tracked.networks(str(networks.provenance["model"]), folder.artifacts["networks"], networks.provenance)
