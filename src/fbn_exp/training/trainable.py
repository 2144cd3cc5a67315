"""Choice of the parameters of a model that are trained."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import LoraModel
from torch import nn
from transformers.pytorch_utils import Conv1D
from typing_extensions import override

from fbn_exp.core.errors import ControlError, TrainingError
from fbn_exp.core.random_state import random_state_kept
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import draw_neurons
from fbn_exp.interventions.target import Target
from fbn_exp.models.neuron_weights import neuron_weights
from fbn_exp.models.sites import decoder_blocks
from fbn_exp.training.classifier import head_parameters
from fbn_exp.training.config import (
    TrainAllConfig,
    TrainInsideConfig,
    TrainLastConfig,
    TrainLoraConfig,
    TrainOutsideConfig,
    TrainPartConfig,
)
from fbn_exp.training.partial import Finish, train_all_but, train_only

ADAPTER = "default"


class Trainable(ABC):
    """Choice of the parameters that are trained; a classification head is always trained."""

    needs_networks = False
    networks: Any = "all"

    def prepare(self, model: nn.Module, target: Target | None) -> Finish:
        """Set ``requires_grad`` of all parameters, splitting tensors that are trained in part.

        Parameters
        ----------
        model : nn.Module
            Model to train, changed in place.
        target : Target or None
            Neurons of the networks; required if ``needs_networks``.

        Returns
        -------
        callable
            Merges what was split off or added, to be called after training.
        """
        finish = self._choose(model, target)
        for parameter in head_parameters(model) if _classifies(model) else ():
            parameter.requires_grad_(True)
        return finish

    @abstractmethod
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        """Prepare all parameters but those of a classification head."""

    @abstractmethod
    def describe(self) -> str:
        """Describe the choice in a few words, for tables."""


class TrainAll(TrainAllConfig, Trainable):
    """Train every parameter."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        model.requires_grad_(True)
        return lambda: None

    @override
    def describe(self) -> str:
        return "all"


class TrainLast(TrainLastConfig, Trainable):
    """Train the last decoder blocks."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        _, blocks = decoder_blocks(model)
        if self.blocks > len(blocks):
            raise TrainingError(
                f"trainable.blocks is {self.blocks}, the model has {len(blocks)} decoder blocks: choose fewer"
            )
        model.requires_grad_(False)
        for block in list(blocks)[-self.blocks :]:
            block.requires_grad_(True)
        return lambda: None

    @override
    def describe(self) -> str:
        return f"last {self.blocks}"


class _TrainPart(TrainPartConfig, Trainable):
    """Train weights by the neurons that they belong to."""

    needs_networks = True

    def _target(self, target: Target | None) -> Target:
        assert target is not None
        if self.control is None:
            return target
        try:
            return draw_neurons(Original(target), self.control, self.seed).target
        except ControlError as error:
            raise TrainingError(
                f"trainable.control={self.control.value}: {error}; choose fewer in trainable.networks, or a "
                "stricter threshold"
            ) from error

    def _described(self, name: str) -> str:
        return name if self.control is None else f"{name} {self.control.value} control"


class TrainInside(TrainInsideConfig, _TrainPart):
    """Train only the weights of the networks' neurons."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        chosen = self._target(target)
        return train_only(model, neuron_weights(model, chosen.layout, chosen.members))

    @override
    def describe(self) -> str:
        return self._described("inside")


class TrainOutside(TrainOutsideConfig, _TrainPart):
    """Train every parameter but the weights of the networks' neurons."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        chosen = self._target(target)
        return train_all_but(model, neuron_weights(model, chosen.layout, chosen.members))

    @override
    def describe(self) -> str:
        return self._described("outside")


class TrainLora(TrainLoraConfig, Trainable):
    """Train low-rank updates of every linear map in the blocks (Hu et al. 2022), merged at the end."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        root, blocks = decoder_blocks(model)
        linear = [
            f"{root}.{name}"
            for name, module in blocks.named_modules()
            if isinstance(module, nn.Linear | Conv1D)
        ]
        model.requires_grad_(False)
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules=linear,
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in blocks.modules()),
        )
        with random_state_kept(self.seed):
            adapted = LoraModel(model, {ADAPTER: config}, ADAPTER)
        return _merging(adapted)

    @override
    def describe(self) -> str:
        return f"lora {self.rank}"


def _merging(adapted: LoraModel) -> Callable[[], None]:
    def finish() -> None:
        adapted.merge_and_unload()

    return finish


def _classifies(model: nn.Module) -> bool:
    return type(model).__name__.endswith("ForSequenceClassification")
