"""Record a sample of activations once for a model and texts, and keep it in the cache."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fbn_exp.core.errors import DiskError, LayoutError, SignalError
from fbn_exp.core.files import changed_files, digest, file_digest, new_folder, write_json
from fbn_exp.core.layout import Block, NeuronLayout, Site
from fbn_exp.core.locks import held
from fbn_exp.core.package_file import version
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.interventions.sample.activations import ActivationSample
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.sites import enclosing

log = logging.getLogger(__name__)

N_TEXTS, TOKENS_PER_TEXT = 32, 32
# 1,024 tokens of a model with 131,072 neurons; with more neurons, fewer texts are recorded
LARGEST_BYTES = 600 * 10**6
FEWEST_TEXTS = 4
BATCH_TOKENS = 512
TENSORS, DESCRIPTION = "sample.safetensors", "sample.json"


def sample_texts(dataset: TextDataset, lm: LanguageModel, layout: NeuronLayout) -> Texts:
    """Texts to record: the first tokens of some documents that networks are extracted from.

    Parameters
    ----------
    dataset : TextDataset
        Source of the texts that networks are extracted from.
    lm : LanguageModel
        Its tokenizer is used.
    layout : NeuronLayout
        Neurons to record: at most 32 texts of 32 tokens, so many that they take at most 600 MB.
    """
    fitting = LARGEST_BYTES // (4 * layout.n_neurons * TOKENS_PER_TEXT)
    n_texts = min(N_TEXTS, max(FEWEST_TEXTS, fitting), dataset.n_texts or N_TEXTS)
    return dataset.shortened(n_texts, TOKENS_PER_TEXT).sample(lm.tokenizer)


def obtain_sample(lm: LanguageModel, layout: NeuronLayout, texts: Texts, cache: Path) -> ActivationSample:
    """Load a sample from the cache, or record and keep it; a damaged one is recorded again.

    Parameters
    ----------
    lm : LanguageModel
        The model, without interventions.
    layout : NeuronLayout
        Neurons to record.
    texts : Texts
        Texts to record, as by ``sample_texts``.
    cache : Path
        Folder of the cache.

    Raises
    ------
    SignalError
        If an activation is not finite.
    """
    key = {
        "weights": lm.weight_digest,
        "dtype": lm.dtype,
        "layout": layout.to_dict(),
        "texts": texts.digest,
        "version": version(),
    }
    entry = cache / "samples" / digest(key)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with held(entry):
        if (known := _read(entry, key)) is not None:
            return ActivationSample(layout, **known)
        sample = record_sample(lm, layout, texts)
        _keep(sample, entry, key)
    return sample


def record_sample(lm: LanguageModel, layout: NeuronLayout, texts: Texts) -> ActivationSample:
    """Record the activations of all tokens of texts, and the norms of the residual stream after each block.

    Raises
    ------
    SignalError
        If an activation is not finite.
    """
    streams, stream_of = _streams(lm, layout)
    n_tokens, lengths = texts.n_tokens, texts.lengths
    values = torch.empty(n_tokens, layout.n_neurons)
    norms = torch.full((n_tokens, len(streams.blocks) if streams else 0), torch.nan)
    rows = texts.rows()
    with torch.inference_mode():
        for batch in length_batches(lengths, BATCH_TOKENS):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            kept, own = mask.flatten().bool(), torch.from_numpy(rows.of_texts(batch))

            def keep(block: Block, activations: Tensor, kept: Tensor = kept, own: Tensor = own) -> None:
                flat = activations.reshape(-1, block.width)
                values[own, block.columns] = flat[kept.to(flat.device)].float().cpu()

            def measure(block: Block, stream: Tensor, kept: Tensor = kept, own: Tensor = own) -> None:
                assert streams is not None
                flat = stream.reshape(-1, block.width)[kept.to(stream.device)]
                place = streams.blocks.index(block)
                norms[own, place] = torch.linalg.vector_norm(flat.float(), dim=1).cpu()

            with (
                visited(lm.model, layout, keep),
                visited(lm.model, streams or replace(layout, blocks=()), measure),
            ):
                inputs = {"input_ids": ids.to(lm.device), "attention_mask": mask.to(lm.device)}
                lm.model.base_model(**inputs, use_cache=False)
    if not values.isfinite().all():
        raise SignalError(
            f"an activation of {lm.name} is not finite on {texts.source}: the model overflows, try "
            "model.dtype=float32"
        )
    position, text = torch.from_numpy(rows.position), torch.from_numpy(rows.text)
    # first tokens before all others, so that each kind is a view
    order = (position != 0).long().argsort(stable=True)
    of_blocks = [
        torch.full((n_tokens,), torch.nan) if place is None else norms[:, place] for place in stream_of
    ]
    return ActivationSample(
        layout, values[order], position[order], text[order], torch.stack(of_blocks, dim=1)[order]
    )


def _streams(lm: LanguageModel, layout: NeuronLayout) -> tuple[NeuronLayout | None, list[int | None]]:
    """Layout of the residual stream after each decoder block, and the decoder block of each block."""
    try:
        streams = lm.layout(Site.block_output)
    except LayoutError as error:
        log.warning("the change of the residual stream is not known: %s", error)
        return None, [None] * len(layout.blocks)
    paths = [block.path for block in streams.blocks]
    return streams, [enclosing(paths, block.path) for block in layout.blocks]


def _read(entry: Path, key: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """Tensors of an entry; None if it is missing or, with a warning, damaged."""
    if not entry.is_dir():
        return None
    try:
        description = json.loads((entry / DESCRIPTION).read_text(encoding="utf-8"))
        if description["key"] != dict(key) or changed_files(entry, {TENSORS: description["sha256"]}):
            raise ValueError("its content is not what was written")
        tensors = load_file(entry / TENSORS)
        return {name: tensors[name] for name in ("values", "positions", "texts", "residual_norms")}
    except (OSError, LookupError, TypeError, ValueError, SafetensorError, RecursionError) as error:
        log.warning("%s is damaged, the sample of activations is recorded again: %s", entry, error)
        return None


def _keep(sample: ActivationSample, entry: Path, key: Mapping[str, Any]) -> None:
    """Write an entry; a full disk is logged, since the run can go on without it."""
    tensors = {
        "values": sample.values,
        "positions": sample.positions,
        "texts": sample.texts,
        "residual_norms": sample.residual_norms,
    }
    try:
        with new_folder(entry, sample.values.numel() * 4) as partial:
            save_file({name: each.contiguous() for name, each in tensors.items()}, partial / TENSORS)
            write_json(partial / DESCRIPTION, {"key": dict(key), "sha256": file_digest(partial / TENSORS)})
    except DiskError as error:
        log.error("the sample of activations is used, but not kept for later runs: %s", error)
