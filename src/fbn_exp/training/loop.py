"""The training loop: transformers' Trainer with exact evaluation and checkpoints of what moves."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from typing_extensions import override

from fbn_exp.config.choices import Precision
from fbn_exp.config.training import TrainerConfig
from fbn_exp.errors import ConfigError, TrainingError
from fbn_exp.files import full_disk_named
from fbn_exp.models import choose_dtype
from fbn_exp.training.tasks import Lesson

TRAINED = "trained.safetensors"
# what a checkpoint must hold to go on from it; the state is written last
COMPLETE = (TRAINED, "optimizer.pt", "scheduler.pt", "rng_state*.pth", "trainer_state.json")


def check(config: TrainerConfig) -> None:
    """Refuse settings that are out of range, before any model is loaded.

    Raises
    ------
    ConfigError
        Naming the field and the value received.
    """
    least = {"max_steps": 1, "warmup_steps": 0, "weight_decay": 0, "batch_size": 1, "patience": 1, "seed": 0}
    least |= {"gradient_accumulation": 1, "evaluation_interval": 1}
    for name, limit in least.items():
        if (value := getattr(config, name)) is not None and value < limit:
            raise ConfigError(f"trainer.{name} is {value}, must be {limit} or more")
    for name in ("epochs", "learning_rate", "max_gradient_norm"):
        if not 0 < (value := getattr(config, name)) < float("inf"):
            raise ConfigError(f"trainer.{name} is {value}, must be above 0")


def fit(
    lesson: Lesson, config: TrainerConfig, folder: Path, callbacks: Sequence[TrainerCallback] = ()
) -> TrainerState:
    """Train the parameters that require a gradient, and leave the model at its best on dev.

    Parameters
    ----------
    lesson : Lesson
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
        If ``resume`` names no complete checkpoint, or one of another model or choice of parameters.
    DiskError
        If there is no room for a checkpoint; ``resume`` goes on from the last complete one.
    """
    start = None if config.resume is None else str(last_checkpoint(Path(config.resume).expanduser()))
    more: list[TrainerCallback] = [_EvaluateAtTheEnd(), _Progress(lesson.loss)]
    if config.patience is not None:
        more.append(EarlyStoppingCallback(config.patience))
    with own_random_numbers():
        loop = _Loop(lesson, _arguments(lesson, config, folder), [*more, *callbacks])
        loop.remove_callback(PrinterCallback)
        loop.remove_callback(ProgressCallback)
        with full_disk_named(folder):
            loop.train(resume_from_checkpoint=start)
        # mixed precision wraps the forward pass, and stays unless asked to go
        loop.accelerator.unwrap_model(lesson.lm.model, keep_fp32_wrapper=False)
    lesson.lm.model.eval()
    return loop.state


def last_checkpoint(folder: Path) -> Path:
    """Newest complete checkpoint: ``folder`` itself, or inside it or its ``checkpoints``.

    A run that is killed while it writes one leaves it incomplete; the one before is taken then.

    Raises
    ------
    TrainingError
        If there is none.
    """
    found = [folder, *folder.glob("checkpoint-*"), *folder.glob("checkpoints/checkpoint-*")]
    complete = [each for each in found if all(any(each.glob(name)) for name in COMPLETE)]
    if not complete:
        raise TrainingError(
            f"trainer.resume: {folder} holds no complete checkpoint; give the folder of a run of train.py"
        )
    return max(complete, key=lambda each: int(each.name.rpartition("-")[2]))


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What the optimiser moves, by name."""
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Put the global generators, which transformers seeds, back as they were."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - they are not drawn from
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _arguments(lesson: Lesson, config: TrainerConfig, folder: Path) -> TrainingArguments:
    device = lesson.lm.device
    half = lesson.lm.model.dtype == torch.float32 and (
        choose_dtype(Precision.auto, device) is torch.bfloat16 and device.type == "cuda"
    )
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
        bf16=half,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
    )


class _EvaluateAtTheEnd(TrainerCallback):
    """The last update is evaluated and kept, also when it is no multiple of the interval."""

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = control.should_log = True
        return control


class _Progress(TrainerCallback):
    """A bar over updates, with the last losses beside it."""

    def __init__(self, loss: str) -> None:
        self.names = {"loss": "loss", f"eval_{loss}": "dev", "eval_acc": "dev accuracy"}
        self.shown: dict[str, str] = {}

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="training", unit=" updates")

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.bar.update(state.global_step - self.bar.n)

    @override
    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs = kwargs.get("logs") or {}
        self.shown |= {shown: f"{logs[name]:.3f}" for name, shown in self.names.items() if name in logs}
        self.bar.set_postfix(self.shown)

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.bar.close()


class _Loop(Trainer):
    """Evaluates by a benchmark, token by token exact; a checkpoint holds only what is trained."""

    def __init__(
        self, lesson: Lesson, arguments: TrainingArguments, callbacks: list[TrainerCallback]
    ) -> None:
        self.lesson = lesson
        examples: Any = lesson.examples
        super().__init__(
            model=lesson.lm.model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=examples[:1],  # asked for, not used: see evaluate
            data_collator=lesson.collate,
            callbacks=callbacks,
        )

    @override
    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        self.lesson.lm.model.eval()
        scores = self.lesson.dev.score(self.lesson.lm)
        found = {f"{metric_key_prefix}_{score.metric}": score.value for score in scores}
        found[f"{metric_key_prefix}_loss"] = found[f"{metric_key_prefix}_{self.lesson.loss}"]
        self.log(dict(found))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    @override
    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            name: each.detach().contiguous() for name, each in trained_parameters(self._trained).items()
        }
        save_file(values, folder / TRAINED)

    @override
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        file = Path(resume_from_checkpoint) / TRAINED
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
        return self.lesson.lm.model
