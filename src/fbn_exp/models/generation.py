"""Let a model write: greedy, in batches, whatever its own generation settings ask for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from fbn_exp.models.language_model import LanguageModel


def written(lm: "LanguageModel", prompts: Sequence[Sequence[int]], new_tokens: int) -> list[list[int]]:
    """Token ids that the model writes after each prompt of a batch, without the one that ends a text.

    Parameters
    ----------
    lm : LanguageModel
        As it stands: whatever intervention is on it stays on.
    prompts : sequence of sequence of int
        Token ids; padded on the left to the longest.
    new_tokens : int
        Tokens after which a text is cut.
    """
    ends = end_ids(lm)
    longest = max(map(len, prompts))
    ids = torch.tensor([[lm.pad_id] * (longest - len(each)) + list(each) for each in prompts])
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in prompts])
    model: Any = lm.model  # its annotation takes the method for a tensor
    with torch.inference_mode(), _plainly_greedy(lm, new_tokens, ends):
        rows = model.generate(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device))
    return [_until_end(row, ends) for row in rows[:, longest:].tolist()]


def end_ids(lm: "LanguageModel") -> frozenset[int]:
    """Tokens that end a text: the tokenizer's, and those of the model, such as the end of a turn."""
    own = lm.model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    return frozenset(int(each) for each in (*listed, lm.tokenizer.eos_token_id) if each is not None)


@contextmanager
def _plainly_greedy(lm: "LanguageModel", new_tokens: int, ends: frozenset[int]) -> Iterator[None]:
    """Put the model's own way to generate aside: it may punish repetition, which is measured here."""
    from transformers import GenerationConfig  # late: it takes seconds, and a model that writes has it

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
    stop = next((place for place, each in enumerate(ids) if each in ends), len(ids))
    return ids[:stop]
