"""Callbacks of the training loop: end of training, best checkpoint, progress bar, numbers for a tracker."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from fbn_exp.core.errors import TrainingError


class EndExactly(TrainerCallback):
    """Evaluate and save after the last update, also if it is no multiple of the interval."""

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step >= state.max_steps:
            control.should_training_stop = True

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = control.should_log = True
        return control


class Patience(TrainerCallback):
    """End training after a number of evaluations without a lower loss.

    They are counted in the log, which checkpoints hold: a resumed run stops at the same update.

    Parameters
    ----------
    patience : int
        Number of evaluations, at least 1.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def _ends(self, state: TrainerState) -> bool:
        losses = [each["eval_loss"] for each in state.log_history if "eval_loss" in each]
        best, waited = float("inf"), 0
        for loss in losses:
            best, waited = (loss, 0) if loss < best else (best, waited + 1)
        return waited >= self.patience

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_training_stop |= self._ends(state)

    @override
    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_training_stop |= self._ends(state)


class FindBest(TrainerCallback):
    """Find the best checkpoint of a resumed run, also if its folder was moved.

    Parameters
    ----------
    start : Path or None
        Checkpoint that the run resumes from.
    """

    def __init__(self, start: Path | None) -> None:
        self.start = start

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.start is None or state.best_model_checkpoint is not None or state.best_global_step is None:
            return
        best = self.start.parent / f"checkpoint-{state.best_global_step}"
        if not best.is_dir():
            raise TrainingError(
                f"trainer.resume: {best}, the best checkpoint up to {self.start.name}, is not there any "
                "more: put it back, or train anew"
            )
        state.best_model_checkpoint = str(best)


class Progress(TrainerCallback):
    """Show a progress bar over updates with the last losses, and the majority rate beside an accuracy.

    Parameters
    ----------
    loss : str
        Name of the metric that is minimised.
    """

    def __init__(self, loss: str) -> None:
        self.names = {"loss": "loss", f"eval_{loss}": "dev"}
        self.names |= {"eval_acc": "dev accuracy", "eval_acc/chance": "majority"}
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


class Stream(TrainerCallback):
    """Send the log of the loop on during training, with the number of the update.

    Parameters
    ----------
    send : callable
        Takes numbers by name, such as a tracked run's ``metrics``.
    """

    def __init__(self, send: Callable[[Mapping[str, float]], None]) -> None:
        self.send = send

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        numbers = {
            f"training/{name.replace('eval_', 'dev_')}": float(value)
            for name, value in (logs or {}).items()
            if isinstance(value, int | float)
        }
        self.send({"training/step": state.global_step, **numbers})
