"""Texts that a model writes, side by side, with measures of degeneration (the paper's figures 4 and 5)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.config import NGRAM, GenerationConfig
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core import ranks
from fbn_exp.models.generation import written
from fbn_exp.models.language_model import LanguageModel


class Generation(GenerationConfig, Benchmark):
    """Greedy continuations of prompts: the most likely token each time, whatever the model's own settings.

    Examples
    --------
    >>> fbn.score(lm, fbn.Generation(["The train"], new_tokens=8), lesion, controls=1)
    """

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
        ids_of_texts = self._write(lm)
        texts = tuple(lm.tokenizer.batch_decode(ids_of_texts, skip_special_tokens=True))
        measures = {
            "distinct_1": ([distinct(ids, 1) for ids in ids_of_texts], True),
            "distinct_2": ([distinct(ids, 2) for ids in ids_of_texts], True),
            "repetition": ([repetition(ids, NGRAM) for ids in ids_of_texts], False),
            "length": ([float(len(ids)) for ids in ids_of_texts], True),
        }
        return [
            mean_score("generation", name, np.array(values), higher_is_better=higher, texts=texts)
            for name, (values, higher) in measures.items()
        ]

    def _write(self, lm: LanguageModel) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for start in ranks.share(range(0, len(self.prompt_ids), self.batch_size)):
            batch = self.prompt_ids[start : start + self.batch_size]
            found |= dict(enumerate(written(lm, batch, self.new_tokens), start))
        parts = ranks.gathered(found, "generated texts")
        return [text for _, text in sorted(each for part in parts for each in part.items())]


def distinct(ids: Sequence[int], n: int) -> float:
    """Share of different n-grams among all of them (Li et al. 2016); 0 for a text shorter than n."""
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(ids: Sequence[int], n: int) -> float:
    """Share of n-grams that were written before in the same text; 0 for a text shorter than n."""
    return 1 - distinct(ids, n) if len(ids) >= n else 0.0
