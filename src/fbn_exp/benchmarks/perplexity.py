"""Loss on held-out text, in nats per token and bits per byte: the most sensitive measure of damage."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.benchmarks.base import SharedBatches
from fbn_exp.benchmarks.config import PerplexityConfig
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core import ranks
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.models.decoding.predictions import head_works_apart, nats_per_row
from fbn_exp.models.language_model import LanguageModel

NATS_TO_BITS = 1 / math.log(2)


class Perplexity(PerplexityConfig, SharedBatches):
    """Negative log-likelihood of every token but the first of each text.

    Examples
    --------
    >>> fbn.score(lm, fbn.Perplexity("wiki"), lesion, controls=2)
    """

    dataset: TextDataset

    def __post_init__(self) -> None:
        # in Python, the name of an embedded corpus gives the sample of conf/benchmark/perplexity.yaml
        if isinstance(self.dataset, str):
            self.dataset = EmbeddedDataset(self.dataset, split=Split.test, n_texts=20, tokens_per_text=96)
        super().__post_init__()

    @override
    def prepare(self, lm: LanguageModel) -> None:
        lm.require_language_head("benchmark=perplexity")
        head_works_apart(lm.model)
        self.texts: Texts = self.dataset.sample(lm.tokenizer)
        # bytes of the scored tokens: the first token of a text has no prediction
        decoded = lm.tokenizer.batch_decode([ids[1:] for ids in self.texts.ids])
        self.n_bytes = np.array([max(1, len(text.encode())) for text in decoded], dtype=np.float64)

    @override
    def forward_tokens(self) -> int:
        return self.texts.n_tokens

    @override
    def score_names(self) -> list[str]:
        return [f"perplexity_{self.dataset.name}/{metric}" for metric in ("nats_per_token", "bits_per_byte")]

    @override
    def tokens_of_batch(self) -> int:
        return min(self.batch_tokens, self.texts.n_tokens)

    @override
    def score_copies(self, lm: LanguageModel, copies: int) -> list[list[Score]]:
        return [self._scores(nats) for nats in self._nats_per_text(lm, copies)]

    def _scores(self, nats: Array) -> list[Score]:
        """Scores from the nats of each text."""
        predicted = np.array(self.texts.lengths, dtype=np.float64) - 1
        task = f"perplexity_{self.dataset.name}"
        return [
            mean_score(task, "nats_per_token", nats / predicted, higher_is_better=False, weights=predicted),
            mean_score(
                task,
                "bits_per_byte",
                nats * NATS_TO_BITS / self.n_bytes,
                higher_is_better=False,
                weights=self.n_bytes,
            ),
        ]

    @override
    def key(self) -> dict[str, Any]:
        return {"benchmark": "perplexity", "texts": self.texts.digest, "name": self.dataset.name}

    @override
    def on(self, part: Split) -> "Perplexity":
        return replace(self, dataset=replace(self.dataset, split=part))

    @override
    def text_digests(self) -> frozenset[str]:
        return self.texts.text_digests

    def _nats_per_text(self, lm: LanguageModel, copies: int) -> Array:
        """Nats of each text in each copy, shape (copies, texts)."""
        nats = np.zeros((copies, len(self.texts)))
        lengths = self.texts.lengths
        batches = ranks.share(length_batches(lengths, self.batch_tokens))
        tokens = sum(lengths[text] for batch in batches for text in batch)
        bar = tqdm(total=tokens, unit=" tokens", unit_scale=True, desc="perplexity", leave=False)
        with bar, torch.inference_mode():
            for batch in batches:
                ids, mask = pad([self.texts.ids[text] for text in batch], lm.pad_id)
                rows = [each.repeat(copies, 1).to(lm.device) for each in (ids, mask)]
                nats[:, batch] = nats_per_row(lm.model, *rows).view(copies, -1).cpu().numpy()
                bar.update(int(mask.sum()))
        return ranks.summed(nats, "scores of perplexity")
