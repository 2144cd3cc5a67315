"""Attention that later tokens pay to the first one, with and without a few neurons."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fbn_exp.analysis.keystones.zeroing import Zeroing, zeroed
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)

# a text is cut here: the weights of a pass take heads × tokens² numbers in every layer
MOST_TOKENS = 256


@contextmanager
def eager_attention(model: nn.Module) -> Iterator[None]:
    """Compute attention by the implementation that returns its weights, and restore the former one.

    A model that cannot change it is left as it is.
    """
    known: list[Any] = [getattr(module, "config", None) for module in model.modules()]
    configs = {id(config): config for config in known if hasattr(config, "_attn_implementation_internal")}
    before = [(config, config._attn_implementation_internal) for config in configs.values()]
    change: Any = getattr(model, "set_attn_implementation", None)
    try:
        if change is not None:
            change("eager")
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation_internal = implementation


def attention_to_first(
    lm: LanguageModel, layout: NeuronLayout, ids: Sequence[Sequence[int]], edits: Sequence[Zeroing]
) -> Array | None:
    """Mean attention weight on the first token, over heads and over all later tokens of the texts.

    Parameters
    ----------
    lm : LanguageModel
        The model; it is left as it was.
    layout : NeuronLayout
        Order of the neurons.
    ids : sequence of sequence of int
        Token ids of each text, of which the first ``MOST_TOKENS`` are used.
    edits : sequence of Zeroing
        Edits, each on its own.

    Returns
    -------
    array of shape (edits, layers) or None
        By attention layer in the model's order; None if the model returns no attention weights.
    """
    cut = [list(text)[:MOST_TOKENS] for text in ids]
    sums: list[list[Array]] = [[] for _ in edits]
    bar = tqdm(total=len(cut) * len(edits), desc="attention", unit=" pass", leave=False)
    with bar, torch.inference_mode(), eager_attention(lm.model):
        for text in cut:
            tokens = torch.tensor([text], device=lm.device)
            for row, edit in enumerate(edits):
                with zeroed(lm, layout, [edit], 1):
                    weights = _on_first(lm.model.base_model, tokens)
                if weights is None:
                    return None
                sums[row].append(weights)
                bar.update()
    later = sum(len(text) - 1 for text in cut)
    return np.stack([np.sum(parts, axis=0) / later for parts in sums])


def _on_first(base: nn.Module, tokens: Tensor) -> Array | None:
    """Sum over later tokens of the mean weight on the first one, by layer, shape (layers,)."""
    try:
        output = base(input_ids=tokens, use_cache=False, output_attentions=True)
    except TypeError:  # a model of its own code that does not know the argument, such as ChatGLM
        return None
    layers = [each for each in getattr(output, "attentions", None) or () if isinstance(each, Tensor)]
    if not layers:
        return None
    return np.array([float(each[0, :, 1:, 0].double().mean(dim=0).sum()) for each in layers])
