"""Networks from a folder or from the cache, extracted where they are missing."""

import logging
from pathlib import Path

from fbn_exp.core.errors import DiskError, LayoutError, NetworksError
from fbn_exp.core.files import digest
from fbn_exp.core.locks import held
from fbn_exp.datasets.base import Texts
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import Extractor
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


def cache_entry(extractor: Extractor, lm: LanguageModel, texts: Texts, cache: Path) -> Path:
    """Folder in the cache for the networks of exactly this model, these texts, signals and method."""
    return cache / "networks" / digest(extractor.key(lm, texts))


def keep_networks(networks: FunctionalNetworks, entry: Path, threshold: Threshold) -> None:
    """Save networks in the cache unless they are there whole; a full disk is logged as an error."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with held(entry):
        if not _is_whole(entry):
            _save(networks, entry, threshold)


def _is_whole(entry: Path) -> bool:
    """Return True if an entry is there and can be read; a damaged one is logged."""
    if not entry.is_dir():
        return False
    try:
        FunctionalNetworks.load(entry)
    except NetworksError as error:
        log.warning("cached networks are broken, writing them again: %s", error)
        return False
    return True


def obtain_networks(
    folder: str | None,
    extractor: Extractor,
    lm: LanguageModel,
    cache: Path,
    threshold: Threshold,
    scratch: Path,
    same_weights: bool = True,
) -> FunctionalNetworks:
    """Load networks from ``folder`` or from the cache, or extract them.

    Parameters
    ----------
    folder : str or None
        Folder written by ``extract.py``, or a repository of the hub; None takes the cache entry for exactly
        this model, these texts, signals and method, and extracts it if it is missing or broken.
    extractor : Extractor
        Extracts networks that are missing.
    lm : LanguageModel
        Model that the networks belong to.
    cache : Path
        Folder of the cache.
    threshold : Threshold
        Described in the cache entry, for readers of its json.
    scratch : Path
        Folder for signals beyond the memory budget.
    same_weights : bool
        True if networks in ``folder`` must have been extracted from the model's weights.

    Raises
    ------
    LayoutError, NetworksError
        If the networks in ``folder`` belong to another model or site, or to other weights.
    """
    if folder is not None:
        networks = FunctionalNetworks.load(local_folder(folder))
        networks.require_layout(lm.layout(networks.layout.site), lm.name)
        if same_weights:
            networks.require_weights(lm.weight_digest, lm.name)
        return networks
    texts = extractor.texts(lm)
    entry = cache_entry(extractor, lm, texts, cache)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with held(entry):
        if entry.is_dir():
            try:
                cached = FunctionalNetworks.load(entry)
                cached.require_layout(lm.layout(extractor.site), lm.name)
                cached.require_weights(lm.weight_digest, lm.name)
            except (LayoutError, NetworksError) as error:
                log.warning("cached networks are broken, extracting again: %s", error)
            else:
                log.info("networks from the cache: %s", entry)
                return cached
        with extractor.extracted(lm, texts, scratch) as extraction:
            _save(extraction.networks, entry, threshold)
            return extraction.networks


def _save(networks: FunctionalNetworks, entry: Path, threshold: Threshold) -> None:
    """Save networks in the cache; a full disk is logged, since the run can go on without the entry."""
    try:
        networks.save(entry, threshold)
    except DiskError as error:
        log.error("networks are used, but not kept for later runs: %s", error)
    else:
        log.info("networks are in the cache: %s", entry)
