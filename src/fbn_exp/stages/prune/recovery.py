"""Recovery: a short fine-tune of a pruned model, by the loop of ``train.py``."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from fbn_exp.datasets.base import TextDataset
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.pruning.config import RecoveryConfig
from fbn_exp.stages.prune.parts import PruningParts
from fbn_exp.training.callbacks import Stream
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.forgetting import require_unseen
from fbn_exp.training.loop import fit
from fbn_exp.training.tasks import LanguageModelingTask
from fbn_exp.training.trainable import TrainAll

log = logging.getLogger(__name__)

# texts of the dev part that decide which checkpoint is kept, and scorings of it
DEV_TEXTS, SCORINGS = 20, 4


def recover(
    lm: LanguageModel, parts: PruningParts, folder: Path, send: Callable[[Mapping[str, float]], None]
) -> None:
    """Train all weights of a pruned model in place; the best checkpoint on the dev part is kept.

    Weights of masked neurons stay zero: neither their values nor their gradients are anything else.

    Parameters
    ----------
    lm : LanguageModel
        The pruned model.
    parts : PruningParts
        Settings of the run.
    folder : Path
        Folder of checkpoints.
    send : callable
        Takes the losses while they fall, such as a tracked run's ``metrics``.

    Raises
    ------
    TrainingError
        If a benchmark scores texts that are trained on.
    """
    settings = parts.prune.recovery
    task = LanguageModelingTask(dev_texts=DEV_TEXTS, test_texts=DEV_TEXTS)
    prepared = task.prepare(lm, _texts(parts.base.dataset, settings))
    require_unseen(parts.forgetting, prepared.texts)
    TrainAll().prepare(lm.model, None)
    log.info("recovery: %d updates on %d texts", settings.max_steps, len(prepared.texts))
    trainer = TrainerConfig(
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        evaluation_interval=max(1, settings.max_steps // SCORINGS),
        patience=None,
        seed=parts.prune.seed,
    )
    fit(prepared, trainer, folder, [Stream(send)])


def _texts(dataset: TextDataset, settings: RecoveryConfig) -> TextDataset:
    return replace(dataset, n_texts=settings.n_texts)
