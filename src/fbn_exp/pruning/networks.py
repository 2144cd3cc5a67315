"""Importance of hidden neurons in networks: their largest |z| in any of them (arXiv 2508.05239)."""

import json
import logging
from collections.abc import Collection, Iterator
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
    block are as large as the model. A run that was killed goes on with the next block.

    Raises
    ------
    PruningError, SignalError, MethodError
        If the site has other neurons, or signals cannot be used.
    """
    layout = lm.layout(extractor.site)
    require_widths(layout, hidden)
    key = {**extractor.key(lm, texts), "kept": "blocks"}
    file = cache / "pruning" / f"{digest(key)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file):
        blocks = _read(file, key, layout)
        if len(blocks) == len(layout.blocks):
            log.info("importance in networks from the cache: %s", file)
        else:
            if blocks:
                log.info("importance of %d blocks from the cache: %s", len(blocks), file)
            kept = True
            with recorded(lm, texts, layout, extractor.signals, scratch) as signals:
                for path, importance in _in_blocks(extractor, signals, skipped=len(blocks)):
                    blocks[path] = importance
                    kept = kept and _keep(file, key, blocks)
    return torch.cat([blocks[block.path] for block in layout.blocks])


def _in_blocks(extractor: Extractor, signals: Signals, skipped: int) -> Iterator[tuple[str, Tensor]]:
    """Path and importance of one block after the other, without the first ones."""
    blocks = signals.layout.blocks
    bar = tqdm(blocks[skipped:], desc="networks of blocks", initial=skipped, total=len(blocks), leave=False)
    for block in bar:
        values = signals.values[:, block.columns].contiguous()
        try:
            method = extractor.method.fit(values, signals.rows)
        except MethodError as error:
            raise MethodError(f"{block.path}: {error}") from error
        yield block.path, largest_z(method.maps_)


def _keep(file: Path, key: dict[str, Any], blocks: dict[str, Tensor]) -> bool:
    """Whether the importance of the first blocks could be written."""
    entry = {"key": key, "importance": {path: values.tolist() for path, values in blocks.items()}}
    try:
        write_json(file, sealed(entry))
    except DiskError as error:
        log.error("importance is used, but not kept for later runs: %s", error)
        return False
    return True


def _read(file: Path, key: dict[str, Any], layout: NeuronLayout) -> dict[str, Tensor]:
    """Importance of the first blocks, by path; of none if the file is missing or, with a warning, damaged."""
    if not file.exists():
        return {}
    try:
        entry = unsealed(json.loads(file.read_text(encoding="utf-8")))
        if entry["key"] != json.loads(json.dumps(key)):
            raise ValueError("it is of another model, or of other settings")
        blocks = {
            path: torch.tensor(values, dtype=torch.float64) for path, values in entry["importance"].items()
        }
        widths = {block.path: (block.width,) for block in layout.blocks[: len(blocks)]}
        if {path: tuple(values.shape) for path, values in blocks.items()} != widths:
            raise ValueError(f"it holds numbers of {', '.join(blocks)}")
    # broken json and broken utf-8 are ValueErrors
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        log.warning("%s is damaged, importance is computed again: %s", file, error)
        return {}
    return blocks
