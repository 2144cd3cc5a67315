"""Importance of hidden neurons in networks: their largest |z| in any of them (arXiv 2508.05239)."""

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import DiskError, MethodError, PruningError
from fbn_exp.core.files import digest, sealed, unsealed, write_json
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.locks import held
from fbn_exp.datasets.base import Texts
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import Extractor
from fbn_exp.signals.base import Signals
from fbn_exp.signals.recording import recorded
from fbn_exp.thresholds.base import z_scores

log = logging.getLogger(__name__)


def largest_z(maps: Tensor) -> Tensor:
    """Largest |z| of each neuron in any of the maps (K, N), z over neurons; float64 of shape (N,)."""
    return z_scores(maps).abs().amax(dim=0)


def require_widths(layout: NeuronLayout, hidden: NeuronLayout) -> None:
    """Refuse networks of neurons that do not stand for the hidden ones, one for one.

    Raises
    ------
    PruningError
        If blocks or widths differ.
    """
    if [block.width for block in layout.blocks] != [block.width for block in hidden.blocks]:
        raise PruningError(
            f"networks are of {layout.describe()}, and {hidden.describe()} can be pruned: extract them with "
            "site=mlp_hidden, or at another module of the same width by model.paths"
        )


def importance_in(networks: FunctionalNetworks, hidden: NeuronLayout, spared: Collection[int] = ()) -> Tensor:
    """Importance of the hidden neurons in networks of the whole model or of single blocks, of shape (N,).

    Maps of a single block are standardised over its neurons, others over those of all blocks.

    Parameters
    ----------
    networks : FunctionalNetworks
        The networks.
    hidden : NeuronLayout
        Layout of the hidden neurons.
    spared : collection of int
        Indices of blocks that need no networks, since none of their neurons are pruned.

    Raises
    ------
    PruningError
        If the networks are of other neurons, or a block that is not spared has none.
    """
    require_widths(networks.layout, hidden)
    if networks.blocks is None:
        return largest_z(networks.maps)
    found = torch.zeros(hidden.n_neurons, dtype=torch.float64)
    for index, block in enumerate(hidden.blocks):
        own = [place for place, of in enumerate(networks.blocks) if of == index]
        if own:
            found[block.columns] = largest_z(networks.maps[own][:, block.columns])
        elif index not in spared:
            raise PruningError(
                f"block {index} ({block.path}) has no networks, and nothing says what to keep of it: "
                "extract networks of every block, or spare it by prune.spared_first or prune.spared_last"
            )
    return found


def cached_importance(
    extractor: Extractor, lm: LanguageModel, texts: Texts, hidden: NeuronLayout, cache: Path, scratch: Path
) -> Tensor:
    """Importance in networks of each block from ``cache/pruning``, computed and kept where it is missing.

    Blocks are decomposed one by one, and of their networks only the largest |z| is kept: 128 maps of each
    block are as large as the model.

    Raises
    ------
    PruningError, SignalError, MethodError
        If the site has other neurons, or signals cannot be used.
    """
    require_widths(lm.layout(extractor.site), hidden)
    key = extractor.key(lm, texts)
    file = cache / "pruning" / f"{digest(key)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file):
        found = _read(file, key, hidden.n_neurons)
        if found is not None:
            log.info("importance in networks from the cache: %s", file)
            return found
        with recorded(lm, texts, lm.layout(extractor.site), extractor.signals, scratch) as signals:
            found = _in_blocks(extractor, signals)
        try:
            write_json(file, sealed({"key": key, "importance": found.tolist()}))
        except DiskError as error:
            log.error("importance is used, but not kept for later runs: %s", error)
    return found


def _in_blocks(extractor: Extractor, signals: Signals) -> Tensor:
    found = torch.zeros(signals.layout.n_neurons, dtype=torch.float64)
    for block in tqdm(signals.layout.blocks, desc="networks of blocks", leave=False):
        values = signals.values[:, block.columns].contiguous()
        try:
            method = extractor.method.fit(values, signals.rows)
        except MethodError as error:
            raise MethodError(f"{block.path}: {error}") from error
        found[block.columns] = largest_z(method.maps_)
    return found


def _read(file: Path, key: dict[str, Any], n_neurons: int) -> Tensor | None:
    """Importance of a file; None if it is missing or, with a warning, damaged."""
    if not file.exists():
        return None
    try:
        entry = unsealed(json.loads(file.read_text(encoding="utf-8")))
        if entry["key"] != json.loads(json.dumps(key)):
            raise ValueError("it is of another model, or of other settings")
        found = torch.tensor(entry["importance"], dtype=torch.float64)
        if found.shape != (n_neurons,):
            raise ValueError(f"it holds {tuple(found.shape)} numbers")
    # broken json and broken utf-8 are ValueErrors
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        log.warning("%s is damaged, importance is computed again: %s", file, error)
        return None
    return found
