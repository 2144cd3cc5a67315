"""Which parameters of a model are trained."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraModel
from torch import nn
from transformers.pytorch_utils import Conv1D
from typing_extensions import override

from fbn_exp.core.errors import ConfigError, TrainingError
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls import draw_controls
from fbn_exp.interventions.rules import NoIntervention, Selection
from fbn_exp.interventions.target import Target
from fbn_exp.models.neuron_weights import neuron_weights
from fbn_exp.models.sites import decoder_blocks
from fbn_exp.training.classifier import head_parameters
from fbn_exp.training.partial import Finish, train_all_but, train_only

ADAPTER = "default"


class Trainable(ABC):
    """A choice of parameters; a classification head is trained whatever the choice."""

    needs_networks = False
    networks: Selection = "all"

    def prepare(self, model: nn.Module, target: Target | None) -> Finish:
        """Set ``requires_grad`` everywhere, splitting tensors that are trained in part.

        Parameters
        ----------
        model : nn.Module
            What is trained, changed in place.
        target : Target or None
            Neurons of the networks, where ``needs_networks``.

        Returns
        -------
        callable
            Makes it an ordinary model again when training is over.
        """
        finish = self._choose(model, target)
        for parameter in head_parameters(model) if _classifies(model) else ():
            parameter.requires_grad_(True)
        return finish

    @abstractmethod
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        """As ``prepare``, of all but a classification head."""

    @abstractmethod
    def describe(self) -> str:
        """A few words for tables."""


class TrainAll(Trainable):
    """Every parameter."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        model.requires_grad_(True)
        return lambda: None

    @override
    def describe(self) -> str:
        return "all"


class _TrainPart(Trainable):
    """Weights by the neurons that they belong to.

    Parameters
    ----------
    networks : "all" or list of int
        Whose neurons.
    control : ControlKind or None
        Random neurons, as many, stand in for them: of which kind.
    seed : int
        Of the control's draw, at least 0.

    Raises
    ------
    ConfigError
        If ``networks`` is neither, or the seed is negative.
    """

    needs_networks = True

    def __init__(self, networks: Selection = "all", control: str | None = None, seed: int = 0) -> None:
        NoIntervention(networks)  # the same rule for the same field
        if seed < 0:
            raise ConfigError(f"trainable.seed is {seed}, must be at least 0")
        self.networks = networks
        self.control = None if control is None else ControlKind(control)
        if self.control is ControlKind.share:
            sizes = [kind.value for kind in ControlKind if kind is not ControlKind.share]
            raise ConfigError(
                f"trainable.control is share, must be as large as the networks: {', '.join(sizes)}"
            )
        self.seed = seed

    def _target(self, target: Target | None) -> Target:
        assert target is not None
        if self.control is None:
            return target
        drawn = draw_controls(target, 1, self.seed)
        if not drawn:
            raise TrainingError(
                f"trainable.control={self.control.value}: the networks hold {target.size} of "
                f"{target.layout.n_neurons} neurons, too many for a control; choose fewer in "
                "trainable.networks, or a stricter threshold"
            )
        return drawn[self.control][0].target

    def _described(self, name: str) -> str:
        return name if self.control is None else f"{name} {self.control.value} control"


class TrainInside(_TrainPart):
    """Only the weights of the networks' neurons."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        chosen = self._target(target)
        return train_only(model, neuron_weights(model, chosen.layout, chosen.members))

    @override
    def describe(self) -> str:
        return self._described("inside")


class TrainOutside(_TrainPart):
    """Every parameter but the weights of the networks' neurons."""

    @override
    def _choose(self, model: nn.Module, target: Target | None) -> Finish:
        chosen = self._target(target)
        return train_all_but(model, neuron_weights(model, chosen.layout, chosen.members))

    @override
    def describe(self) -> str:
        return self._described("outside")


class TrainLora(Trainable):
    """Low-rank updates of every linear map in the blocks (Hu et al. 2022), merged in the end.

    Parameters
    ----------
    rank : int
        Of the updates, at least 1.
    alpha : float
        The update counts alpha / rank.
    dropout : float
        Share of inputs that an update does not see in a step, from 0 to below 1.
    seed : int
        Of the initial values.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    def __init__(self, rank: int = 8, alpha: float = 16.0, dropout: float = 0.0, seed: int = 0) -> None:
        if rank < 1:
            raise ConfigError(f"trainable.rank is {rank}, must be at least 1")
        if alpha <= 0:
            raise ConfigError(f"trainable.alpha is {alpha}, must be above 0")
        if not 0 <= dropout < 1:
            raise ConfigError(f"trainable.dropout is {dropout}, must be at least 0 and below 1")
        self.rank, self.alpha, self.dropout, self.seed = rank, alpha, dropout, seed

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
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
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
