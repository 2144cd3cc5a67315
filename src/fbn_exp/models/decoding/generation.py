"""Greedy text generation in batches, independent of a model's generation settings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from fbn_exp.models.language_model import LanguageModel


def written(
    lm: "LanguageModel",
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    watch: Callable[[list[list[int]]], bool] | None = None,
) -> list[list[int]]:
    """Generate a continuation of each prompt of a batch; token ids, without the one that ends a text.

    Parameters
    ----------
    lm : LanguageModel
        The model; active interventions stay active.
    prompts : sequence of sequence of int
        Token ids; padded on the left to the longest.
    new_tokens : int
        Largest number of generated tokens.
    watch : callable, optional
        Called after every token with what has been generated so far; True ends the texts there.
    """
    ends = end_ids(lm)
    longest = max(map(len, prompts))
    ids = torch.tensor([[lm.pad_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    model: Any = lm.model  # its annotation takes the method for a tensor

    def watched(rows: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        stopped = watch is not None and watch([_until_end(row, ends) for row in rows[:, longest:].tolist()])
        return torch.full((len(rows),), stopped, dtype=torch.bool, device=rows.device)

    watching = {} if watch is None else {"stopping_criteria": [watched]}
    with torch.inference_mode(), _plainly_greedy(lm, new_tokens, ends):
        rows = model.generate(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), **watching)
    return [_until_end(row, ends) for row in rows[:, longest:].tolist()]


def end_ids(lm: "LanguageModel") -> frozenset[int]:
    """Ids of tokens that end a text: the tokenizer's and the model's, such as the end of a turn."""
    configured = lm.model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in (*listed, lm.tokenizer.eos_token_id) if token is not None)


@contextmanager
def _plainly_greedy(lm: "LanguageModel", new_tokens: int, ends: frozenset[int]) -> Iterator[None]:
    """Replace the model's generation settings: they may penalise repetition, which is measured here."""
    from transformers import GenerationConfig  # late: it takes seconds, and a loaded model has imported it

    kept = lm.model.generation_config
    lm.model.generation_config = GenerationConfig(
        max_new_tokens=new_tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=sorted(ends) or None,
        pad_token_id=lm.pad_id,
    )
    try:
        yield
    finally:
        lm.model.generation_config = kept


def _until_end(ids: list[int], ends: frozenset[int]) -> list[int]:
    stop = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    return ids[:stop]
