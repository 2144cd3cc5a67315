"""How far an edit moves a model's predictions from those of the untouched model, on held-out text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.benchmarks.base import Benchmark, Progress
from fbn_exp.benchmarks.config import DivergenceConfig
from fbn_exp.benchmarks.divergence.temperature import INVERSE_TEMPERATURES, loss_curve, refitted
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core import ranks
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.moments import ACCELERATOR_CHUNK_VALUES
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.models.decoding.predictions import Predictions, head_works_apart
from fbn_exp.models.language_model import LanguageModel

METRICS = ("kl", "top1", "nats_per_token", "nats_refitted")
# the untouched model has the best value by construction
FROM_UNTOUCHED = ("kl", "top1")
# sums over the tokens of a text: divergence, equal best tokens, loss; then the curve of the loss
SUMS = 3
# numbers of edited predictions kept at once, hidden states if the head works apart
KEPT_VALUES = 2**27
# logits handled at once on a processor: they are read some sixty times, and fit its cache
CACHED_VALUES = 2**17


class Divergence(DivergenceConfig, Benchmark):
    """Divergence of an edited model's predictions from the untouched model's, for every token but the first.

    ``kl`` is the mean Kullback-Leibler divergence KL(untouched ‖ edited) over the whole vocabulary, in nats
    per predicted token; ``top1`` the share of tokens at which both models find the same token the most
    likely; ``nats_per_token`` the cross-entropy of the text. ``nats_refitted`` is the cross-entropy after one
    temperature for the edit, fitted to all scored tokens: what is left when a model that became
    overconfident is forgiven its confidence. That the temperature is fitted to the tokens that it is scored
    on flatters an edit by about 1 / (2 · tokens) nats.

    Examples
    --------
    >>> fbn.score(lm, fbn.Divergence("wiki"), lesion, controls=2)
    """

    # edits share each batch's untouched predictions; an interrupted run keeps the edits before these
    edits_at_once: ClassVar[int] = 32

    dataset: TextDataset

    def __post_init__(self) -> None:
        # in Python, the name of an embedded corpus gives the sample of conf/benchmark/divergence.yaml
        if isinstance(self.dataset, str):
            self.dataset = EmbeddedDataset(self.dataset, split=Split.test, n_texts=12, tokens_per_text=64)
        super().__post_init__()

    @override
    def prepare(self, lm: LanguageModel) -> None:
        lm.require_language_head("benchmark=divergence")
        head_works_apart(lm.model)
        self.texts: Texts = self.dataset.sample(lm.tokenizer)

    @override
    def forward_tokens(self) -> int:
        return self.texts.n_tokens

    @override
    def score_names(self) -> list[str]:
        return [f"{self._task}/{metric}" for metric in METRICS]

    @override
    def score(self, lm: LanguageModel) -> list[Score]:
        """Refuse: a model as it stands has nothing to diverge from.

        Raises
        ------
        BenchmarkError
            Always.
        """
        raise BenchmarkError(
            "divergence compares an edited model with the untouched one, a single model has none: take "
            "benchmark=perplexity"
        )

    @override
    def score_many(
        self, lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Edit], progress: Progress
    ) -> list[list[Score]]:
        sums = np.zeros((len(edits), len(self.texts), SUMS + 3 * len(INVERSE_TEMPERATURES)))
        batches = ranks.share(length_batches(self.texts.lengths, self.batch_tokens))
        with torch.inference_mode():
            for batch in batches:
                ids, mask = (
                    each.to(lm.device) for each in pad([self.texts.ids[text] for text in batch], lm.pad_id)
                )
                untouched = lm.predictions(ids, mask)
                at_once = max(1, KEPT_VALUES // untouched.states.numel())
                for start in range(0, len(edits), at_once):
                    some = range(start, min(len(edits), start + at_once))
                    # an edit that touches nothing has the untouched model's very predictions
                    edited = [
                        _edited_predictions(lm, layout, edits[place], ids, mask)
                        if edits[place].touched.any()
                        else untouched
                        for place in some
                    ]
                    for row, text in enumerate(batch):
                        sums[some, text] = _sums(untouched, edited, row, ids[row, : self.texts.lengths[text]])
                    progress.advance(len(some) / len(batches))
        sums = ranks.summed(sums, "scores of divergence")
        return [self._scores(each) for each in sums]

    @override
    def key(self) -> dict[str, Any]:
        return {"benchmark": "divergence", "texts": self.texts.digest, "name": self.dataset.name}

    @override
    def on(self, part: Split) -> "Divergence":
        return replace(self, dataset=replace(self.dataset, split=part))

    @override
    def text_digests(self) -> frozenset[str]:
        return self.texts.text_digests

    @property
    def _task(self) -> str:
        return f"divergence_{self.dataset.name}"

    def _scores(self, sums: Array) -> list[Score]:
        """Scores of an edit from its sums over the tokens of each text."""
        predicted = np.array(self.texts.lengths, dtype=np.float64) - 1
        divergence, same, losses = sums[:, :SUMS].T
        _, refit = refitted(sums[:, SUMS:].reshape(len(sums), -1, 3), losses)
        items = dict(zip(METRICS, (divergence, same, losses, refit), strict=True))
        return [
            mean_score(
                self._task,
                metric,
                values / predicted,
                higher_is_better=metric == "top1",
                weights=predicted,
                from_untouched=metric in FROM_UNTOUCHED,
            )
            for metric, values in items.items()
        ]


def _edited_predictions(
    lm: LanguageModel, layout: NeuronLayout, edit: Edit, ids: Tensor, mask: Tensor
) -> Predictions:
    with applied(lm.model, layout, edit):
        return lm.predictions(ids, mask)


def _sums(untouched: Predictions, edited: Sequence[Predictions], row: int, tokens: Tensor) -> Array:
    """Sums over the tokens of a text, in a row of the predictions, shape (edits, measures): see ``SUMS``."""
    columns = torch.arange(len(tokens) - 1, device=untouched.states.device)
    targets = tokens[1:].to(columns.device)
    totals = torch.zeros(
        len(edited), SUMS + 3 * len(INVERSE_TEMPERATURES), dtype=torch.float64, device=columns.device
    )
    for places in untouched.slices(len(columns)):
        logits = untouched.logits(row, columns[places])
        one = _Untouched.of(logits)
        for place, each in enumerate(edited):
            own = logits if each is untouched else each.logits(row, columns[places])
            totals[place] += one.sums(own, targets[places])
    sums: Array = totals.cpu().numpy()
    return sums


@dataclass(frozen=True, eq=False)
class _Untouched:
    """Predictions of the untouched model for some tokens of a text.

    Attributes
    ----------
    logits : Tensor of shape (T, V)
        Logits in the model's number format.
    normaliser : Tensor of shape (T,), float32
        Logarithm of the summed exponentials.
    best : Tensor of shape (T,), int64
        Most likely token.
    """

    logits: Tensor
    normaliser: Tensor
    best: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> "_Untouched":
        normaliser = torch.cat([logits[rows].float().logsumexp(dim=1) for rows in _slices(logits)])
        return cls(logits, normaliser, logits.argmax(dim=1))

    def sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sums of an edited model's measures over the tokens, float64, in the order of ``SUMS``.

        Parameters
        ----------
        logits : Tensor of shape (T, V)
            Logits of the edited model.
        targets : Tensor of shape (T,), int64
            Tokens that follow.
        """
        total = torch.zeros(SUMS + 3 * len(INVERSE_TEMPERATURES), dtype=torch.float64, device=logits.device)
        for rows in _slices(logits):
            # a copy, also of float32: the curve overwrites it
            edited = logits[rows].to(torch.float32, copy=True)
            total[0] += self._divergence(edited, rows).sum(dtype=torch.float64)
            total[1] += (edited.argmax(dim=1) == self.best[rows]).sum()
            total[2] += torch.nn.functional.cross_entropy(edited, targets[rows], reduction="sum").double()
            total[SUMS:] += loss_curve(edited, targets[rows]).flatten()
        return total

    def _divergence(self, edited: Tensor, rows: slice) -> Tensor:
        """KL(untouched ‖ edited) of each token of a slice, shape (rows,)."""
        log_p = self.logits[rows].float() - self.normaliser[rows, None]
        log_q = edited - edited.logsumexp(dim=1, keepdim=True)
        p = log_p.exp()
        # differences before they are weighted: a small divergence is no difference of large sums; a token
        # that the untouched model excludes counts nothing, and would be 0 · inf
        ratio = log_p.sub_(log_q).masked_fill_(p == 0, 0.0)
        return p.mul_(ratio).sum(dim=1)


def _slices(logits: Tensor) -> Iterator[slice]:
    """Rows of a text that are handled at once, so that float32 copies of them stay small."""
    chunk = CACHED_VALUES if logits.device.type == "cpu" else ACCELERATOR_CHUNK_VALUES
    step = max(1, chunk // logits.shape[1])
    return (slice(start, start + step) for start in range(0, len(logits), step))
