"""How far an edit moves a model's predictions from those of the untouched model, on held-out text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.benchmarks.base import Progress, SharedBatches
from fbn_exp.benchmarks.config import DivergenceConfig
from fbn_exp.benchmarks.divergence.temperature import INVERSE_TEMPERATURES, Exponentials, refitted
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
from fbn_exp.interventions.stacked import stacked, stacks
from fbn_exp.models.decoding.predictions import Predictions, head_works_apart
from fbn_exp.models.language_model import LanguageModel

METRICS = ("kl", "top1", "nats_per_token", "nats_refitted")
# the untouched model has the best value by construction
FROM_UNTOUCHED = ("kl", "top1")
# sums over the tokens of a text: divergence, equal best tokens, loss; then the curve of the loss
SUMS = 3
MEASURES = SUMS + 3 * len(INVERSE_TEMPERATURES)
# numbers of edited predictions kept at once, hidden states if the head works apart
KEPT_VALUES = 2**27
# logits that are made and kept at once
LOGIT_VALUES = 2**23
# logits read at once on a processor: they are read some sixty times, and fit its cache
CACHED_VALUES = 2**17


class Divergence(DivergenceConfig, SharedBatches):
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
    def tokens_of_batch(self) -> int:
        return min(self.batch_tokens, self.texts.n_tokens)

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
        sums = np.zeros((len(edits), len(self.texts), MEASURES))
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
                    edited = self._edited(lm, layout, [edits[place] for place in some], untouched, ids, mask)
                    sums[np.ix_(some, batch)] = _sums(untouched, edited, ids, mask)
                    progress.advance(len(some) / len(batches))
        sums = ranks.summed(sums, "scores of divergence")
        return [self._scores(each) for each in sums]

    def _edited(
        self,
        lm: LanguageModel,
        layout: NeuronLayout,
        edits: Sequence[Edit],
        untouched: Predictions,
        ids: Tensor,
        mask: Tensor,
    ) -> list[Predictions]:
        """Predictions under each edit; one that touches nothing has those of the untouched model."""
        found = [untouched] * len(edits)
        touching = [place for place, edit in enumerate(edits) if edit.touched.any()]
        for group in stacks([edits[place] for place in touching], self.edits_of_batch(lm)):
            places = [touching[member] for member in group]
            rows = [each.repeat(len(places), 1) for each in (ids, mask)]
            with applied(lm.model, layout, stacked([edits[place] for place in places])):
                together = lm.predictions(*rows)
            for place, own in zip(places, together.divided(len(places)), strict=True):
                found[place] = own
        return found

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


def _sums(untouched: Predictions, edited: Sequence[Predictions], ids: Tensor, mask: Tensor) -> Array:
    """Sums over the tokens of each text of a batch, shape (edits, texts, measures): see ``SUMS``."""
    device = untouched.states.device
    rows, columns = mask[:, 1:].to(device).nonzero(as_tuple=True)
    targets = ids.to(device)[rows, columns + 1]
    totals = torch.zeros(len(edited), len(ids), MEASURES, dtype=torch.float64, device=device)
    for places in untouched.slices(len(rows), LOGIT_VALUES):
        logits = untouched.logits(rows[places], columns[places])
        one = _Untouched.of(logits)
        for total, each in zip(totals, edited, strict=True):
            own = logits if each is untouched else each.logits(rows[places], columns[places])
            total.index_add_(0, rows[places], one.measures(own, targets[places]))
    sums: Array = totals.cpu().numpy()
    return sums


@dataclass(frozen=True, eq=False)
class _Untouched:
    """Predictions of the untouched model for some tokens.

    Attributes
    ----------
    below : Tensor of shape (T, V), float32
        Logits less the largest one of their token.
    likelihood : Tensor of shape (T, V), float32
        Probability of each token of the vocabulary.
    normaliser : Tensor of shape (T,), float64
        Logarithm of the summed exponentials of ``below``.
    best : Tensor of shape (T,), int64
        Most likely token.
    """

    below: Tensor
    likelihood: Tensor
    normaliser: Tensor
    best: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> "_Untouched":
        below = torch.empty_like(logits, dtype=torch.float32)
        normaliser = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
        for rows in _slices(logits):
            read = Exponentials.of(logits[rows])
            below[rows], normaliser[rows] = read.below, read.normaliser
        likelihood = below.sub(normaliser[:, None].float()).exp_()
        return cls(below, likelihood, normaliser, logits.argmax(dim=1))

    def measures(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Measures of an edited model at each token, float64 of shape (T, measures): see ``SUMS``.

        Parameters
        ----------
        logits : Tensor of shape (T, V)
            Logits of the edited model.
        targets : Tensor of shape (T,), int64
            Tokens that follow.
        """
        measures = [logits.new_zeros(0, MEASURES, dtype=torch.float64)]
        for rows in _slices(logits):
            edited = Exponentials.of(logits[rows])
            # largest as well, which costs nothing to see
            same = edited.below.gather(1, self.best[rows, None]) == 0
            first = [self._divergence(edited, rows), same[:, 0].double(), edited.losses(targets[rows])]
            curve = edited.curve(targets[rows]).flatten(1)
            measures.append(torch.cat([torch.stack(first, dim=1), curve], dim=1))
        return torch.cat(measures)

    def _divergence(self, edited: Exponentials, rows: slice) -> Tensor:
        """KL(untouched ‖ edited) of each token of a slice, float64 of shape (rows,)."""
        # differences before they are weighted: a small divergence is no difference of large sums
        ratio = self.below[rows] - edited.below
        weighted = ratio.mul_(self.likelihood[rows]).sum(dim=1).double()
        return weighted + (edited.normaliser - self.normaliser[rows])


def _slices(logits: Tensor) -> Iterator[slice]:
    """Tokens whose logits are read at once."""
    chunk = CACHED_VALUES if logits.device.type == "cpu" else ACCELERATOR_CHUNK_VALUES
    step = max(1, chunk // logits.shape[1])
    return (slice(start, start + step) for start in range(0, len(logits), step))
