"""Texts that a model writes, side by side, with measures of degeneration (the paper's figures 4 and 5)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transformers
from typing_extensions import override

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.config import NGRAM, GenerationConfig
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core import ranks
from fbn_exp.models.load import LanguageModel


class Generation(GenerationConfig, Benchmark):
    """Greedy continuations of prompts: the most likely token each time, whatever the model's own settings."""

    @override
    def prepare(self, lm: LanguageModel) -> None:
        lm.require_language_head("benchmark=generation")
        self.prompt_ids = [list(lm.tokenizer(prompt)["input_ids"]) for prompt in self.prompts]

    @override
    def forward_tokens(self) -> int:
        # at most: a text may end sooner, and a token that follows from the cache is a pass of its own
        return sum(len(ids) + self.new_tokens for ids in self.prompt_ids)

    @override
    def key(self) -> dict[str, Any]:
        return {
            "benchmark": "generation",
            "prompts": self.prompts,
            "rows": self.prompt_ids,
            "new_tokens": self.new_tokens,
        }

    @override
    def score(self, lm: LanguageModel) -> list[Score]:
        written = self._write(lm)
        texts = tuple(lm.tokenizer.batch_decode(written, skip_special_tokens=True))
        measures = {
            "distinct_1": ([distinct(ids, 1) for ids in written], True),
            "distinct_2": ([distinct(ids, 2) for ids in written], True),
            "repetition": ([repetition(ids, NGRAM) for ids in written], False),
            "length": ([float(len(ids)) for ids in written], True),
        }
        return [
            mean_score("generation", name, np.array(values), higher_is_better=higher, texts=texts)
            for name, (values, higher) in measures.items()
        ]

    def _write(self, lm: LanguageModel) -> list[list[int]]:
        written: dict[int, list[int]] = {}
        ends = end_ids(lm)
        with torch.inference_mode(), _plainly_greedy(lm, self.new_tokens, ends):
            for start in ranks.share(range(0, len(self.prompt_ids), self.batch_size)):
                batch = self.prompt_ids[start : start + self.batch_size]
                longest = max(map(len, batch))
                ids = torch.tensor([[lm.pad_id] * (longest - len(each)) + each for each in batch])
                mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in batch])
                model: Any = lm.model  # its annotation takes the method for a tensor
                found = model.generate(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device))
                texts = [_until_end(each, ends) for each in found[:, longest:].tolist()]
                written |= dict(enumerate(texts, start))
        parts = ranks.gathered(written, "generated texts")
        return [text for _, text in sorted(each for part in parts for each in part.items())]


def end_ids(lm: LanguageModel) -> frozenset[int]:
    """Tokens that end a text: the tokenizer's, and those of the model, such as the end of a turn."""
    own = lm.model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    return frozenset(int(each) for each in (*listed, lm.tokenizer.eos_token_id) if each is not None)


@contextmanager
def _plainly_greedy(lm: LanguageModel, new_tokens: int, ends: frozenset[int]) -> Iterator[None]:
    """Put the model's own way to generate aside: it may punish repetition, which is measured here."""
    kept = lm.model.generation_config
    lm.model.generation_config = transformers.GenerationConfig(
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


def distinct(ids: Sequence[int], n: int) -> float:
    """Share of different n-grams among all of them (Li et al. 2016); 0 for a text shorter than n."""
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(ids: Sequence[int], n: int) -> float:
    """Share of n-grams that were written before in the same text; 0 for a text shorter than n."""
    return 1 - distinct(ids, n) if len(ids) >= n else 0.0
