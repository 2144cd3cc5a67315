"""What is done to the neurons of networks: an affine edit of every neuron, applied by hooks."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from fbn_exp.errors import ConfigError, LayoutError
from fbn_exp.hooks import visited
from fbn_exp.layout import Block, NeuronLayout
from fbn_exp.targets import OUTSIDE, Target

Selection = str | list[int]


@dataclass(frozen=True, eq=False)
class Edit:
    """Every neuron's activation x becomes scale · x + shift.

    Attributes
    ----------
    scale, shift : Tensor of shape (N,), float32
        In the order of the layout; 1 and 0 leave a neuron as it is.
    """

    scale: Tensor
    shift: Tensor

    @property
    def touched(self) -> Tensor:
        """Neurons that are changed, bool of shape (N,)."""
        return (self.scale != 1) | (self.shift != 0)

    @property
    def digest(self) -> str:
        """Key of this edit, equal for equal edits."""
        both = torch.stack([self.scale, self.shift]).float() + 0.0  # -0.0 is equal to 0.0
        return hashlib.sha256(both.numpy().tobytes()).hexdigest()


def no_edit(n_neurons: int) -> Edit:
    """Edit that changes nothing."""
    return Edit(torch.ones(n_neurons), torch.zeros(n_neurons))


@contextmanager
def applied(model: nn.Module, layout: NeuronLayout, edit: Edit) -> Iterator[nn.Module]:
    """Edit the neurons of a running model while the context is open; weights are not touched.

    Only blocks with a changed neuron are hooked. A block's factors move to its device at the first pass
    and stay there. Only the hooks set here are removed, also after an exception.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Where the neurons are.
    edit : Edit
        What to do to them.

    Yields
    ------
    nn.Module
        The same model.

    Raises
    ------
    LayoutError
        If the edit is not over the layout's neurons.
    """
    for name, vector in (("scale", edit.scale), ("shift", edit.shift)):
        if vector.shape != (layout.n_neurons,):
            raise LayoutError(
                f"{name} has shape {tuple(vector.shape)}, the layout has {layout.n_neurons} neurons"
            )
    touched = edit.touched
    changed = tuple(block for block in layout.blocks if touched[block.columns].any())
    on_device: dict[tuple[str, torch.device, torch.dtype], tuple[Tensor, Tensor | None]] = {}

    def change(block: Block, activations: Tensor) -> Tensor:
        key = (block.path, activations.device, activations.dtype)
        if key not in on_device:
            scale, shift = edit.scale[block.columns], edit.shift[block.columns]
            # factors made in inference mode would refuse a later backward pass
            with torch.inference_mode(False):
                on_device[key] = (
                    scale.to(activations.device, activations.dtype),
                    shift.to(activations.device, activations.dtype) if shift.any() else None,
                )
        factor, constant = on_device[key]
        scaled = activations * factor
        return scaled if constant is None else scaled + constant

    with visited(model, replace(layout, blocks=changed), change):
        yield model


class Intervention(ABC):
    """A rule that turns the neurons of chosen networks into an edit.

    Parameters
    ----------
    networks : "all" or list of int
        Which networks.

    Raises
    ------
    ConfigError
        If ``networks`` is neither.
    """

    def __init__(self, networks: Selection = "all") -> None:
        indices = networks if isinstance(networks, list) else []
        if (networks != "all" and not indices) or any(type(each) is not int for each in indices):
            raise ConfigError(f"intervention.networks is {networks!r}: all, or a list of indices as [0,2]")
        self.networks = networks

    def _require_one_each(self, field: str, numbers: list[float]) -> None:
        """Refuse a wrong number of values before a model is loaded, where the networks are listed."""
        if isinstance(self.networks, list):
            _one_each(field, numbers, len(set(self.networks)))

    @abstractmethod
    def edit(self, target: Target) -> Edit:
        """Edit of the target's neurons; every other neuron's entry says what happens outside."""

    @property
    def single_factor(self) -> float | None:
        """The one factor on all networks, None where there is no such thing."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """A few words for captions."""


class NoIntervention(Intervention):
    """The untouched model."""

    @override
    def edit(self, target: Target) -> Edit:
        return no_edit(target.layout.n_neurons)

    @override
    def describe(self) -> str:
        return "untouched"


class Scale(Intervention):
    """Members' activations are multiplied.

    Parameters
    ----------
    networks : "all" or list of int
        Which networks.
    factor : float or list of float
        One factor for all, or one for each chosen network, in their order. 0 inhibits, 1 leaves as is.

    Raises
    ------
    ConfigError
        If a factor is not a finite number, or there are not as many as networks.
    """

    def __init__(self, networks: Selection = "all", factor: float | Sequence[float] = 0.0) -> None:
        super().__init__(networks)
        self.factor = factor
        self.factors = _numbers("intervention.factor", factor)
        self._require_one_each("intervention.factor", self.factors)

    @property
    @override
    def single_factor(self) -> float | None:
        return self.factors[0] if len(self.factors) == 1 else None

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        factors = _one_each("intervention.factor", self.factors, len(target.networks))
        edit.scale[target.members] = factors[target.labels[target.members]]
        return edit

    @override
    def describe(self) -> str:
        return f"scale {_shown(self.factors)}"


class Inhibit(Scale):
    """Members' activations are 0: the paper's lesion."""

    def __init__(self, networks: Selection = "all") -> None:
        super().__init__(networks, 0.0)

    @override
    def describe(self) -> str:
        return "inhibit"


class Amplify(Scale):
    """Members' activations are multiplied by more than 1.

    Raises
    ------
    ConfigError
        If a factor is not above 1.
    """

    def __init__(self, networks: Selection = "all", factor: float | Sequence[float] = 1.1) -> None:
        super().__init__(networks, factor)
        if min(self.factors) <= 1:
            raise ConfigError(
                f"intervention.factor is {_shown(self.factors)}, amplify needs more than 1: "
                "intervention=scale takes any factor"
            )

    @override
    def describe(self) -> str:
        return f"amplify {_shown(self.factors)}"


class Shift(Intervention):
    """A constant is added to members' activations: the additive variant of the paper's public code.

    Parameters
    ----------
    networks : "all" or list of int
        Which networks.
    value : float or list of float
        In units of the activation; one for all or one for each chosen network.

    Raises
    ------
    ConfigError
        If a value is not a finite number, or there are not as many as networks.
    """

    def __init__(self, networks: Selection = "all", value: float | Sequence[float] = 1.0) -> None:
        super().__init__(networks)
        self.value = value
        self.values = _numbers("intervention.value", value)
        self._require_one_each("intervention.value", self.values)

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        values = _one_each("intervention.value", self.values, len(target.networks))
        edit.shift[target.members] = values[target.labels[target.members]]
        return edit

    @override
    def describe(self) -> str:
        return f"shift {_shown(self.values)}"


class Mean(Intervention):
    """Members' activations are replaced by the neuron's mean over the extraction texts.

    The standard ablation beside zero: it takes away what a neuron says about the token, and leaves the
    constant that later blocks are used to.
    """

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.members] = 0.0
        edit.shift[target.members] = target.mean[target.members].float()
        return edit

    @override
    def describe(self) -> str:
        return "mean ablation"


class Preserve(Intervention):
    """Every neuron outside is 0, in every block of the layout, also in those without a member."""

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.labels == OUTSIDE] = 0.0
        return edit

    @override
    def describe(self) -> str:
        return "preserve"


def _numbers(field: str, value: float | Sequence[float]) -> list[float]:
    many = isinstance(value, Sequence) and not isinstance(value, str)
    values = list(value) if many else [value]  # type: ignore[arg-type]
    try:
        numbers = [float(each) for each in values if not isinstance(each, bool)]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{field} is {value!r}: a number, or a list with one number per network") from None
    if not numbers or len(numbers) < len(values) or not torch.tensor(numbers).isfinite().all():
        raise ConfigError(f"{field} is {value!r}: needs finite numbers")
    return numbers


def _one_each(field: str, numbers: list[float], count: int) -> Tensor:
    if len(numbers) not in (1, count):
        raise ConfigError(
            f"{field} has {len(numbers)} values for {count} networks: give one, or one for each"
        )
    return torch.tensor(numbers * (count if len(numbers) == 1 else 1))


def _shown(numbers: list[float]) -> str:
    return ", ".join(f"{each:g}" for each in numbers)
