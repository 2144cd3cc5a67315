"""The training loop: transformers' Trainer with exact evaluation and checkpoints of what moves."""

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
from fbn_exp.training.checkpoints import TRAINED, last_checkpoint
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.tasks import PreparedTask

log = logging.getLogger(__name__)


def fit(
    prepared: PreparedTask, config: TrainerConfig, folder: Path, callbacks: Sequence[TrainerCallback] = ()
) -> TrainerState:
    """Train the parameters that require a gradient, and leave the model at its best on dev.

    Parameters
    ----------
    prepared : PreparedTask
        Model, examples and the dev benchmark; the model is changed in place.
    config : TrainerConfig
        How.
    folder : Path
        For checkpoints, of which the best and the last one are kept.
    callbacks : sequence of TrainerCallback
        Told what happens.

    Returns
    -------
    TrainerState
        With ``log_history``, ``global_step`` and the best step.

    Raises
    ------
    TrainingError
        If ``resume`` names no complete checkpoint, or one of other texts, of another model or choice of
        parameters.
    DiskError
        If there is no room for a checkpoint; ``resume`` goes on from the last complete one.
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
        # mixed precision wraps the forward pass, and stays unless asked to go
        loop.accelerator.unwrap_model(prepared.lm.model, keep_fp32_wrapper=False)
    prepared.lm.model.eval()
    return loop.state


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser moves, by name."""
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def _half(prepared: PreparedTask, asked: Precision) -> bool:
    """Whether the forward pass multiplies in bfloat16, over weights that stay in float32."""
    device, dtype = prepared.lm.device, prepared.lm.model.dtype
    if dtype != torch.float32:
        if asked is Precision.float32:
            raise TrainingError(
                f"trainer.precision is float32, but the weights are loaded in {prepared.lm.dtype}: "
                "leave model.dtype out, or take trainer.precision=auto"
            )
        return False  # the weights themselves are in half precision
    on_gpu = device.type == "cuda"
    # every processor can, many of them slowly
    able = not on_gpu or choose_dtype(Precision.auto, device) is torch.bfloat16
    if asked is Precision.bfloat16 and not able:
        log.warning("trainer.precision=bfloat16: this GPU has no bfloat16, float32 is taken")
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
    """Evaluates by a benchmark, token by token exact; a checkpoint holds only what is trained."""

    def __init__(
        self, prepared: PreparedTask, arguments: TrainingArguments, callbacks: list[TrainerCallback]
    ) -> None:
        self.prepared = prepared
        examples: Any = prepared.examples
        super().__init__(
            model=prepared.lm.model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=examples[:1],  # asked for, not used: see evaluate
            data_collator=prepared.collate,
            callbacks=callbacks,
        )
        if prepared.lm.labels is not None:
            # a head takes the mean over its own texts: transformers, which sees that it accepts the number of
            # items in an update and not that it ignores it, would add the means of all passes and ranks up
            self.model_accepts_loss_kwargs = False

    @override
    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        self.prepared.lm.model.eval()
        scores = self.prepared.dev.score(self.prepared.lm)
        found = {f"{metric_key_prefix}_{score.metric}": score.value for score in scores}
        # the majority rate of an accuracy, under the name that the other stages use
        found |= {
            f"{metric_key_prefix}_{score.metric}/chance": score.chance
            for score in scores
            if score.chance is not None
        }
        found[f"{metric_key_prefix}_loss"] = found[f"{metric_key_prefix}_{self.prepared.loss}"]
        self.log(dict(found))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    @override
    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # a run that had ended before it was resumed makes no further update
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]

    @override
    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            name: each.detach().contiguous() for name, each in trained_parameters(self._trained).items()
        }
        save_file(values, folder / TRAINED, metadata={"texts": self.prepared.texts.digest})

    @override
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        file = Path(resume_from_checkpoint) / TRAINED
        with safe_open(file, "pt") as content:
            if content.metadata()["texts"] != self.prepared.texts.digest:
                raise TrainingError(
                    f"{file} was trained on other texts: resume with the same dataset, model and task"
                )
        saved, own = load_file(file), trained_parameters(self._trained)
        if {name: each.shape for name, each in saved.items()} != {
            name: each.shape for name, each in own.items()
        }:
            raise TrainingError(
                f"{file} holds {len(saved)} trained tensors, this run trains {len(own)}, or others: resume "
                "with the same model, task, trainable and networks"
            )
        with torch.no_grad():
            for name, each in own.items():
                each.copy_(saved[name])

    @override
    def _load_best_model(self) -> None:
        assert self.state.best_model_checkpoint is not None
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    @property
    def _trained(self) -> nn.Module:
        return self.prepared.lm.model
