"""Training tasks: examples to learn from, and benchmarks on the other parts of the data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.classification import Classification
from fbn_exp.benchmarks.perplexity import Perplexity
from fbn_exp.core.errors import TrainingError
from fbn_exp.datasets.base import TextDataset, Texts, TokenisedText
from fbn_exp.datasets.batches import pad
from fbn_exp.datasets.config import Split
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.training.classifier import classifier
from fbn_exp.training.config import ClassificationTaskConfig, LanguageModelingTaskConfig, TaskConfig

Example = Mapping[str, Any]

IGNORED = -100
"""Label that transformers excludes from the loss."""


@dataclass(frozen=True, eq=False)
class PreparedTask:
    """A task prepared for a model.

    Attributes
    ----------
    lm : LanguageModel
        Model that is trained; for classification, the body of the language model under a new head.
    texts : Texts
        Training texts.
    examples : sequence of mapping
        ``ids`` and, for classification, ``label`` of every text.
    dev, test : Benchmark
        Prepared benchmarks; dev decides when to stop and which checkpoint is kept.
    loss : str
        Name of the benchmarks' metric that is minimised, in nats.
    """

    lm: LanguageModel
    texts: Texts
    examples: Sequence[Example]
    dev: Benchmark
    test: Benchmark
    loss: str

    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Build a batch of examples, padded on the right; padding is excluded from the loss."""
        ids, mask = pad([each["ids"] for each in examples], self.lm.pad_id)
        if "label" in examples[0]:
            labels = torch.tensor([each["label"] for each in examples])
        else:
            labels = ids.masked_fill(mask == 0, IGNORED)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class Task(TaskConfig, ABC):
    """Task that a model is trained on."""

    @abstractmethod
    def prepare(self, lm: LanguageModel, dataset: TextDataset) -> PreparedTask:
        """Sample train, dev and test texts, and prepare the model.

        Raises
        ------
        FbnError
            If the texts or the model are unsuitable for the task.
        """

    def _part(self, dataset: TextDataset, split: Split) -> TextDataset:
        counts = {Split.dev: self.dev_texts, Split.test: self.test_texts}
        return replace(dataset, split=split, n_texts=counts.get(split, dataset.n_texts))


class ClassificationTask(ClassificationTaskConfig, Task):
    """Classification of texts by a head on their last token."""

    @override
    def prepare(self, lm: LanguageModel, dataset: TextDataset) -> PreparedTask:
        texts = self._part(dataset, Split.train).sample(lm.tokenizer, self.labels)
        labels = self._labels(texts)
        if self.balanced:
            texts = _balanced(texts)
        model = classifier(lm, labels, self.seed)
        assert model.labels is not None
        place = {label: index for index, label in enumerate(model.labels)}
        examples = [
            {"ids": ids, "label": place[str(document.label)]}
            for ids, document in zip(texts.ids, texts.documents, strict=True)
        ]
        dev, test = (
            Classification(
                self._part(dataset, split), "{text}", labels=labels, batch_tokens=self.batch_tokens
            )
            for split in (Split.dev, Split.test)
        )
        dev.prepare(model)
        test.prepare(model)
        return PreparedTask(model, texts, examples, dev, test, "nats_per_text")

    @staticmethod
    def _labels(texts: Texts) -> list[str]:
        for document in texts.documents:
            if document.label is None:
                raise TrainingError(
                    f"{document.origin} has no label: set dataset.label_field, or name labels in task.labels "
                    "to leave such texts out"
                )
        labels = sorted({str(document.label) for document in texts.documents})
        if len(labels) < 2:
            raise TrainingError(
                f"all {len(texts)} training texts are labelled {labels[0]}: take more texts "
                "(dataset.n_texts) or other data"
            )
        return labels


def _balanced(texts: Texts) -> Texts:
    """First texts of each label, as many as the rarest has."""
    of_label: dict[str | None, list[TokenisedText]] = {}
    for each in texts.items:
        of_label.setdefault(each.document.label, []).append(each)
    fewest = min(map(len, of_label.values()))
    kept = {id(each) for items in of_label.values() for each in items[:fewest]}
    return replace(texts, items=tuple(each for each in texts.items if id(each) in kept))


class LanguageModelingTask(LanguageModelingTaskConfig, Task):
    """Prediction of the next token."""

    @override
    def prepare(self, lm: LanguageModel, dataset: TextDataset) -> PreparedTask:
        lm.require_language_head("task=language_modeling")
        texts = self._part(dataset, Split.train).sample(lm.tokenizer)
        dev, test = (
            Perplexity(self._part(dataset, split), self.batch_tokens) for split in (Split.dev, Split.test)
        )
        dev.prepare(lm)
        test.prepare(lm)
        return PreparedTask(lm, texts, [{"ids": ids} for ids in texts.ids], dev, test, "nats_per_token")
