"""Attribution of the loss to neurons, |gradient × activation|, computed once for a model and its texts."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import ControlError, DiskError
from fbn_exp.core.files import digest, sealed, unsealed, write_json
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.locks import held
from fbn_exp.core.package_file import version
from fbn_exp.datasets.base import Texts
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)


def attribution(lm: LanguageModel, layout: NeuronLayout, texts: Texts) -> Tensor:
    """Mean over tokens of gradient × activation, in magnitude, of every neuron.

    The gradient is that of the negative log-likelihood of all tokens of a text but the first; of a model
    with a classification head, that of the class which it takes the text for. To first order the product is
    what setting the neuron to 0 at that token changes (Molchanov et al. 2017, Pruning convolutional neural
    networks for resource efficient inference).

    Parameters
    ----------
    lm : LanguageModel
        The model; its weights need no gradient.
    layout : NeuronLayout
        Order of the neurons.
    texts : Texts
        Texts, each in a pass of its own.

    Returns
    -------
    Tensor of shape (N,), float64

    Raises
    ------
    ControlError
        If the model computes no gradient, or a value is not finite.
    """
    total = torch.zeros(layout.n_neurons, dtype=torch.float64)
    pairs: list[tuple[Block, Tensor, Tensor]] = []

    def keep(block: Block, activations: Tensor) -> Tensor:
        # the gradient at an addend of 0 is that at the activations, also where no weight needs one
        addend = torch.zeros_like(activations, requires_grad=True)
        pairs.append((block, activations.detach(), addend))
        return activations + addend

    for ids in tqdm(texts.ids, desc="attribution", unit=" texts", leave=False, mininterval=0.5):
        pairs.clear()
        try:
            with torch.enable_grad(), visited(lm.model, layout, keep):
                loss = _loss(lm, torch.tensor([ids], device=lm.device))
            gradients = torch.autograd.grad(loss, [addend for _, _, addend in pairs], allow_unused=True)
        except RuntimeError as error:  # also an accelerator without memory for the backward pass
            raise ControlError(f"the model computes no gradient: {error}") from error
        for (block, activations, _), gradient in zip(pairs, gradients, strict=True):
            if gradient is not None:
                product = (gradient.float() * activations.float()).abs()
                total[block.columns] += product.reshape(-1, block.width).sum(dim=0).double().cpu()
    if not total.isfinite().all():
        raise ControlError("the gradient of the loss is not finite")
    return total / texts.n_tokens


def _loss(lm: LanguageModel, ids: Tensor) -> Tensor:
    logits = lm.logits(ids).float()
    if lm.labels is not None:
        return torch.nn.functional.cross_entropy(logits, logits.detach().argmax(dim=-1), reduction="sum")
    targets = ids[0, 1:].to(logits.device)
    return torch.nn.functional.cross_entropy(logits[0, :-1], targets, reduction="sum")


def cached_attribution(lm: LanguageModel, layout: NeuronLayout, texts: Texts, cache: Path) -> Tensor:
    """Attribution from ``cache/attribution``, computed and kept where it is missing or damaged.

    Raises
    ------
    ControlError
        If it cannot be computed.
    """
    key = {
        "weights": lm.weight_digest,
        "dtype": lm.dtype,
        "layout": layout.to_dict(),
        "texts": texts.digest,
        "version": version(),
    }
    file = cache / "attribution" / f"{digest(key)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file):
        found = _read(file, key, layout.n_neurons)
        if found is None:
            found = attribution(lm, layout, texts)
            try:
                write_json(file, sealed({"key": key, "attribution": found.tolist()}))
            except DiskError as error:
                log.error("attribution is used, but not kept for later runs: %s", error)
    return found


def _read(file: Path, key: Mapping[str, Any], n_neurons: int) -> Tensor | None:
    """Attribution of a file; None if it is missing or, with a warning, damaged."""
    if not file.exists():
        return None
    try:
        entry = unsealed(json.loads(file.read_text(encoding="utf-8")))
        if entry["key"] != key:
            raise ValueError("it is of another model, or of other texts")
        found = torch.tensor(entry["attribution"], dtype=torch.float64)
        if found.shape != (n_neurons,):
            raise ValueError(f"it holds {tuple(found.shape)} numbers")
    # broken json and broken utf-8 are ValueErrors
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        log.warning("%s is damaged, attribution is computed again: %s", file, error)
        return None
    return found
