"""Training loop: transformers' Trainer with exact evaluation, and checkpoints of trained parameters only."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from typing_extensions import override

from fbn_exp.core.errors import TrainingError
from fbn_exp.core.files import disk_errors
from fbn_exp.core.random_state import random_state_kept
from fbn_exp.models.config import Precision
from fbn_exp.models.precision import choose_dtype
from fbn_exp.training.callbacks import EndExactly, FindBest, Patience, Progress
from fbn_exp.training.checkpoints import (
    GENERATORS,
    OPTIMIZER,
    SCHEDULER,
    TRAINED,
    last_checkpoint,
    readable,
    require_unchanged,
    seal,
)
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.tasks import PreparedTask

log = logging.getLogger(__name__)


def fit(
    prepared: PreparedTask, config: TrainerConfig, folder: Path, callbacks: Sequence[TrainerCallback] = ()
) -> TrainerState:
    """Train the parameters that require a gradient, and load those of the best checkpoint on dev.

    Parameters
    ----------
    prepared : PreparedTask
        Model, examples and dev benchmark; the model is changed in place.
    config : TrainerConfig
        Settings of the loop.
    folder : Path
        Folder of checkpoints, of which the best and the last are kept.
    callbacks : sequence of TrainerCallback
        Additional callbacks.

    Returns
    -------
    TrainerState
        State with ``log_history``, ``global_step`` and the best step.

    Raises
    ------
    TrainingError
        If ``resume`` names no complete checkpoint, or one of other texts, another model or another choice of
        parameters.
    DiskError
        If there is no room for a checkpoint; ``resume`` continues from the last complete one.
    """
    start = None if config.resume is None else last_checkpoint(Path(config.resume).expanduser())
    more: list[TrainerCallback] = [FindBest(start), EndExactly(), Progress(prepared.loss)]
    if config.patience is not None:
        more.append(Patience(config.patience))
    with random_state_kept():
        loop = _Loop(prepared, _arguments(prepared, config, folder), [*more, *callbacks])
        loop.remove_callback(PrinterCallback)
        loop.remove_callback(ProgressCallback)
        with disk_errors(folder):
            loop.train(resume_from_checkpoint=None if start is None else str(start))
        # mixed precision wraps the forward pass until it is unwrapped
        loop.accelerator.unwrap_model(prepared.lm.model, keep_fp32_wrapper=False)
    prepared.lm.model.eval()
    return loop.state


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _half(prepared: PreparedTask, asked: Precision) -> bool:
    """Return True if the forward pass runs in bfloat16 over float32 weights."""
    device, dtype = prepared.lm.device, prepared.lm.model.dtype
    if dtype != torch.float32:
        if asked is Precision.float32:
            raise TrainingError(
                f"trainer.precision is float32, but the weights are loaded in {prepared.lm.dtype}: "
                "leave model.dtype out, or take trainer.precision=auto"
            )
        return False  # the weights themselves are in half precision
    on_gpu = device.type == "cuda"
    # every processor has bfloat16, many are slow at it
    able = not on_gpu or choose_dtype(Precision.auto, device) is torch.bfloat16
    if asked is Precision.bfloat16 and not able:
        log.warning("trainer.precision=bfloat16: this GPU does not support bfloat16, float32 is used")
    half = able and (asked is Precision.bfloat16 or (asked is Precision.auto and on_gpu))
    log.info("trainer.precision=%s: it multiplies in %s", asked.value, "bfloat16" if half else "float32")
    return half


def _arguments(prepared: PreparedTask, config: TrainerConfig, folder: Path) -> TrainingArguments:
    device = prepared.lm.device
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=-1 if config.max_steps is None else config.max_steps,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule.value,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        optim="adamw_torch",
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        eval_strategy="steps",
        eval_steps=config.evaluation_interval,
        save_strategy="steps",
        save_steps=config.evaluation_interval,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=False,
        logging_steps=max(1, config.evaluation_interval // 5),
        report_to="none",
        seed=config.seed,
        bf16=_half(prepared, config.precision),
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
    )


class _Loop(Trainer):
    """Trainer that evaluates by a benchmark, exact per token; checkpoints hold only trained parameters."""

    def __init__(
        self, prepared: PreparedTask, arguments: TrainingArguments, callbacks: list[TrainerCallback]
    ) -> None:
        self.prepared = prepared
        examples: Any = prepared.examples
        super().__init__(
            model=prepared.lm.model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=examples[:1],  # required by Trainer, but not used: see evaluate
            data_collator=prepared.collate,
            callbacks=callbacks,
        )
        if prepared.lm.labels is not None:
            # a head returns the mean loss of its texts; it accepts the number of items in an update, but
            # ignores it, so transformers would sum the means of all passes and ranks
            self.model_accepts_loss_kwargs = False

    @override
    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        self.prepared.lm.model.eval()
        scores = self.prepared.dev.score(self.prepared.lm)
        metrics = {f"{metric_key_prefix}_{score.metric}": score.value for score in scores}
        # the majority rate beside an accuracy, under the name that the other stages use
        metrics |= {
            f"{metric_key_prefix}_{score.metric}/chance": score.chance
            for score in scores
            if score.chance is not None
        }
        metrics[f"{metric_key_prefix}_loss"] = metrics[f"{metric_key_prefix}_{self.prepared.loss}"]
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @override
    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # a resumed run that had already ended makes no further update
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]

    @override
    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            name: tensor.detach().contiguous() for name, tensor in trained_parameters(self._trained).items()
        }
        save_file(values, folder / TRAINED, metadata={"texts": self.prepared.texts.digest})

    @override
    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        seal(folder, self.args.process_index)

    @override
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        file = Path(resume_from_checkpoint) / TRAINED
        with readable(resume_from_checkpoint, TRAINED):
            saved = load_file(file)
            with safe_open(file, "pt") as content:
                learnt = content.metadata()["texts"]
        if learnt != self.prepared.texts.digest:
            raise TrainingError(
                f"{file} was trained on other texts: resume with the same dataset, model and task"
            )
        trained = trained_parameters(self._trained)
        if {name: parameter.shape for name, parameter in saved.items()} != {
            name: parameter.shape for name, parameter in trained.items()
        }:
            raise TrainingError(
                f"{file} holds {len(saved)} trained tensors, this run trains {len(trained)}, or others: "
                "resume with the same model, task, trainable and networks"
            )
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(saved[name])

    @override
    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with readable(checkpoint, OPTIMIZER, SCHEDULER):
            super()._load_optimizer_and_scheduler(checkpoint)

    @override
    def _load_rng_state(self, checkpoint: str | None) -> None:
        with readable(checkpoint, GENERATORS):
            super()._load_rng_state(checkpoint)

    @override
    def _load_best_model(self) -> None:
        assert self.state.best_model_checkpoint is not None
        require_unchanged(Path(self.state.best_model_checkpoint))
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    @property
    def _trained(self) -> nn.Module:
        return self.prepared.lm.model
