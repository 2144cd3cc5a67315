"""Save a model and its tokenizer as an ordinary checkpoint."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# settings that greedy decoding ignores, and that transformers refuses to save beside it
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def save_checkpoint(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Save a model and its tokenizer for plain ``from_pretrained``.

    Some published models decode greedily and name a temperature nevertheless (Vicuna, Llama 2): transformers
    loads them, and refuses to save them. Such settings, which have no effect, are left out.

    Parameters
    ----------
    model : PreTrainedModel
        The model, not changed.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    folder : Path
        Where they are written.
    """
    kept = getattr(model, "generation_config", None)
    if kept is not None and not kept.do_sample:
        model.generation_config = copy.deepcopy(kept)
        for name in SAMPLING:
            setattr(model.generation_config, name, None)
    try:
        model.save_pretrained(folder)
    finally:
        if kept is not None:
            model.generation_config = kept
    tokenizer.save_pretrained(folder)
