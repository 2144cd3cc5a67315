"""Labelled texts, scored by the likelihood of label words after a prompt, or by a classification head."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.benchmarks.base import SharedBatches
from fbn_exp.benchmarks.config import ClassificationConfig
from fbn_exp.benchmarks.labelled.auroc import auroc_score
from fbn_exp.benchmarks.labelled.state_probe import head_pass, refitted_answers
from fbn_exp.benchmarks.labelled.words import word_likelihoods
from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core import ranks
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.rows import Array, Indices
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.datasets.config import Split
from fbn_exp.models.decoding.predictions import head_works_apart
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)


class Classification(ClassificationConfig, SharedBatches):
    """Accuracy of the most likely label word, with the rate of the most frequent label as chance.

    The balanced accuracy is the mean over labels of the accuracy on their texts: a model that always gives
    the same answer reaches one over the number of labels. The number of texts of each label is fixed, so its
    errors are those of texts drawn within labels. ``auroc`` tells whether the likelihoods still rank texts
    where the answers no longer do.

    Every label's word is scored by its log-likelihood after the prompt, so that no output has to be
    parsed. Items whose likelihoods are not finite, as of a broken model, are counted as ``undecided``;
    accuracies are over the other items, NaN if there are none.

    A model with a sequence-classification head is scored by the head's likelihood of each label instead:
    the prompt and the words are not used. ``nats_per_text`` is then its loss. An edit can move the states so
    that this head does not fit them any more, although what it read is still there: ``probe_balanced_acc`` is
    that of a linear probe, fitted under the same edit to the last token's states in ``probe_texts`` others.

    Attributes
    ----------
    labels_ : list of str
        Labels to distinguish, sorted; known after ``prepare``.

    Examples
    --------
    >>> from fbn_exp.datasets.embedded import EmbeddedDataset
    >>> tweets = EmbeddedDataset("tweets", split="test", n_texts=8)
    >>> prompt = "Tweet: {text} Sentiment:"
    >>> fbn.score(lm, fbn.Classification(tweets, prompt), lesion, controls=1)
    """

    dataset: TextDataset
    labels_: list[str]

    @override
    def prepare(self, lm: LanguageModel) -> None:
        self.head = lm.labels
        by_default = [] if self.head is not None else list(self.words)
        self.chosen = by_default if self.labels is None else self.labels
        self.texts = self.dataset.sample(lm.tokenizer, self.chosen)
        if self.head is not None and self.labels is None:
            self._leave_out_foreign(lm, self.head)
        for document in self.texts.documents:
            if document.label is None:
                raise BenchmarkError(
                    f"{document.origin} has no label: set benchmark.dataset.label_field, or name labels in "
                    "benchmark.labels to leave such texts out"
                )
        gold = [str(document.label) for document in self.texts.documents]
        if self.head is not None:
            self._prepare_head(self.head, gold)
        else:
            head_works_apart(lm.model)
            self._prepare_words(lm, gold)
        self._prepare_probe(lm)
        # here, not for each of hundreds of edits
        counts = np.bincount(self.gold, minlength=len(self.labels_))
        most, share = self.labels_[int(counts.argmax())], counts.max() / counts.sum()
        log.info("majority class %s: %.4f of %d texts", most, share, len(gold))

    def _leave_out_foreign(self, lm: LanguageModel, head: Sequence[str]) -> None:
        """Sample only texts with labels that the head knows, if it knows some of them and not all."""
        found = {str(document.label) for document in self.texts.documents if document.label is not None}
        if (known := sorted(found & set(head))) and found - set(head):
            log.info(
                "%s is left out: the model's head does not know it", ", ".join(sorted(found - set(head)))
            )
            self.texts = self.dataset.sample(lm.tokenizer, known)

    def _prepare_words(self, lm: LanguageModel, gold: Sequence[str]) -> None:
        """Score by the probabilities of one word for each label after a prompt."""
        self.labels_ = sorted(set(self.chosen or gold))
        if len(self.labels_) < 2:
            raise BenchmarkError(f"all texts of {self.dataset.describe()} are labelled {self.labels_[0]}")
        self.gold = np.array([self.labels_.index(label) for label in gold])
        self.word_ids = self._word_ids(lm)
        # texts are cut to the dataset's tokens_per_text, so that no prompt loses its question
        shown = lm.tokenizer.batch_decode(self.texts.ids, skip_special_tokens=True)
        prompts = [list(lm.tokenizer(self.prompt.replace("{text}", text))["input_ids"]) for text in shown]
        # the last token of a row needs no forward pass, so words of one token need one row for all of them
        self.single = all(len(word) == 1 for word in self.word_ids)
        self.rows = prompts if self.single else [row + word[:-1] for row in prompts for word in self.word_ids]

    def _prepare_head(self, head: Sequence[str], gold: Sequence[str]) -> None:
        """Score by the head: its outputs take the place of words, and the texts need no prompt."""
        self.labels_ = sorted(self.chosen or head)
        if foreign := sorted({*gold, *self.labels_} - set(head)):
            raise BenchmarkError(
                f"the model's head knows the labels {', '.join(head)}; {self.dataset.describe()} has "
                f"{', '.join(foreign)}"
            )
        if left_out := sorted(set(head) - set(self.labels_)):
            log.info("benchmark.labels leaves out %s, which the head knows too", ", ".join(left_out))
        self.gold = np.array([self.labels_.index(label) for label in gold])
        self.word_ids = [[list(head).index(label)] for label in self.labels_]
        self.rows, self.single = self.texts.ids, True

    def _prepare_probe(self, lm: LanguageModel) -> None:
        """Sample the texts that the probe is fitted to, from a part that is not scored."""
        self.fitted: Texts | None = None
        if not self.probe_texts:
            return
        if self.head is None:
            raise BenchmarkError(
                "benchmark.probe_texts fits a probe to the state that a classification head reads, and "
                f"{lm.name} has none: take a checkpoint of train.py task=classification, or 0"
            )
        part = Split.train if self.dataset.split is Split.dev else Split.dev
        source = replace(self.dataset, split=part, n_texts=self.probe_texts)
        self.fitted = source.sample(lm.tokenizer, self.labels_)
        named = [str(document.label) for document in self.fitted.documents]
        self.fitted_gold = np.array([self.labels_.index(label) for label in named])
        if np.bincount(self.fitted_gold, minlength=len(self.labels_)).min() < 2:
            raise BenchmarkError(
                f"benchmark.probe_texts is {self.probe_texts}: a label has fewer than two of them, take more"
            )

    def _word_ids(self, lm: LanguageModel) -> list[list[int]]:
        """Tokenise the word of each label."""
        if unknown := [label for label in self.words if label not in self.labels_]:
            # no error: the default words are for the labels of the default data set
            log.warning(
                "benchmark.words: there is no label %s; there are: %s",
                ", ".join(unknown),
                ", ".join(self.labels_),
            )
        words = [f" {self.words.get(label, label)}" for label in self.labels_]
        ids = [list(lm.tokenizer.encode(word, add_special_tokens=False)) for word in words]
        if len({tuple(word) for word in ids}) < len(ids):
            raise BenchmarkError(f"benchmark.words gives two labels the same word: {', '.join(words)}")
        return ids

    @override
    def forward_tokens(self) -> int:
        return sum(map(len, self.rows)) + (0 if self.fitted is None else self.fitted.n_tokens)

    @override
    def key(self) -> dict[str, Any]:
        probe = {} if self.fitted is None else {"probe": [self.fitted.digest, self.fitted_gold.tolist()]}
        return {
            **probe,
            "benchmark": "classification",
            "name": self.dataset.name,
            "texts": self.texts.digest,
            "gold": self.gold.tolist(),
            "words": self.word_ids,
            "rows": self.rows,
            "strata": "labels",
        }

    @override
    def on(self, part: Split) -> "Classification":
        return replace(self, dataset=replace(self.dataset, split=part))

    @override
    def text_digests(self) -> frozenset[str]:
        return self.texts.text_digests | (frozenset() if self.fitted is None else self.fitted.text_digests)

    @override
    def score_names(self) -> list[str]:
        # the last one only with a classification head
        metrics = ["acc", "balanced_acc", "auroc", "undecided", "nats_per_text"]
        metrics += ["probe_balanced_acc"] * bool(self.probe_texts)
        return [f"classification_{self.dataset.name}/{metric}" for metric in metrics]

    @override
    def tokens_of_batch(self) -> int:
        return min(self.batch_tokens, sum(map(len, self.rows)))

    @override
    def score_copies(self, lm: LanguageModel, copies: int) -> list[list[Score]]:
        likelihoods, states = self._read(lm, copies)
        if self.fitted is None:
            return [self._scores(likelihood) for likelihood in likelihoods]
        _, fitted = head_pass(lm, self.fitted.ids, self.batch_tokens, copies, states=True)
        return [
            [*self._scores(likelihood), self._probed(known, asked)]
            for likelihood, known, asked in zip(likelihoods, fitted, states, strict=True)
        ]

    def _probed(self, known: Array, asked: Array) -> Score:
        """Score of a probe that is fitted to the states of some texts, on those of others."""
        answers = refitted_answers(known, self.fitted_gold, asked)
        return self._balanced("probe_balanced_acc", answers == self.gold, answers >= 0)

    def _scores(self, likelihood: Array) -> list[Score]:
        """Scores from the log-likelihood of each label after each prompt."""
        decided: NDArray[np.bool_] = np.asarray(np.isfinite(likelihood).all(axis=1))
        right = decided & (np.where(decided[:, None], likelihood, 0).argmax(axis=1) == self.gold)
        counts = np.bincount(self.gold, minlength=len(self.labels_))
        majority = float(counts.max() / counts.sum())
        task = f"classification_{self.dataset.name}"
        items, weights = right.astype(np.float64), decided.astype(np.float64)
        scores = [
            _accuracy(task, "acc", items, weights, majority),
            self._balanced("balanced_acc", right, decided),
            auroc_score(task, likelihood, self.gold),
            mean_score(task, "undecided", (~decided).astype(np.float64), higher_is_better=False),
        ]
        if self.head is not None:
            nats = -likelihood[np.arange(len(self.gold)), self.gold]
            scores.append(mean_score(task, "nats_per_text", nats, higher_is_better=False))
        return scores

    def _balanced(self, metric: str, right: NDArray[np.bool_], decided: NDArray[np.bool_]) -> Score:
        """Mean over labels of the accuracy on their decided texts: every label has the same weight."""
        per_label = np.bincount(self.gold[decided], minlength=len(self.labels_)).clip(min=1)
        return _accuracy(
            f"classification_{self.dataset.name}",
            metric,
            right.astype(np.float64),
            decided / per_label[self.gold],
            1 / len(self.labels_),
            strata=self.gold,
        )

    def _read(self, lm: LanguageModel, copies: int) -> tuple[Array, Array]:
        """Log-likelihoods, shape (copies, texts, labels), and states for a probe, if there is one."""
        if self.head is None:
            return self._likelihoods(lm, copies), np.empty((copies, len(self.gold), 0))
        probed = self.fitted is not None
        likelihoods, states = head_pass(lm, self.rows, self.batch_tokens, copies, states=probed)
        return likelihoods[..., [output for (output,) in self.word_ids]], states

    def _likelihoods(self, lm: LanguageModel, copies: int) -> Array:
        """Log-likelihood of each label's word after each prompt, shape (copies, texts, labels)."""
        words = [self.word_ids] * len(self.rows)
        if not self.single:
            words = [[word] for _ in self.gold for word in self.word_ids]
        likelihood = np.zeros((copies, len(self.rows), len(words[0])))
        lengths = [len(row) for row in self.rows]
        batches = ranks.share(length_batches(lengths, self.batch_tokens))
        tokens = sum(lengths[row] for batch in batches for row in batch)
        bar = tqdm(total=tokens, unit=" tokens", unit_scale=True, desc="classification", leave=False)
        with bar, torch.inference_mode():
            for batch in batches:
                rows = pad([self.rows[row] for row in batch], lm.pad_id)
                ids, mask = (each.repeat(copies, 1) for each in rows)
                found = lm.predictions(ids, mask)
                ends = [range(lengths[row] - len(words[row][0]), lengths[row]) for row in batch]
                of_rows = [words[row] for row in batch]
                values = np.array(word_likelihoods(found, ends * copies, of_rows * copies))
                likelihood[:, batch] = values.reshape(copies, len(batch), -1)
                bar.update(int(mask.sum()))
        likelihood = ranks.summed(likelihood, "scores of classification")
        return likelihood.reshape(copies, len(self.gold), len(self.labels_))


def _accuracy(
    task: str, metric: str, right: Array, weights: Array, chance: float, strata: Indices | None = None
) -> Score:
    """Score of the weighted share of correct items; undecided ones have weight 0."""
    if weights.any():
        return mean_score(
            task, metric, right, higher_is_better=True, weights=weights, chance=chance, strata=strata
        )
    nan = float("nan")
    return Score(task, metric, nan, nan, len(right), True, right, weights, chance, strata=strata)
