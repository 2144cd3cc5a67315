"""What is done to the neurons of networks: rules that turn them into an edit."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.edit import Edit, no_edit
from fbn_exp.interventions.target import OUTSIDE, Target

Selection = str | list[int]


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


class _OneEach:
    """One number for all chosen networks, or one for each of them, in their order."""

    def __init__(self, field: str, value: float | Sequence[float], networks: Selection) -> None:
        many = isinstance(value, Sequence) and not isinstance(value, str)
        values = list(value) if many else [value]  # type: ignore[arg-type]
        try:
            numbers = [float(each) for each in values if not isinstance(each, bool)]  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(
                f"{field} is {value!r}: a number, or a list with one number per network"
            ) from None
        if not numbers or len(numbers) < len(values) or not torch.tensor(numbers).isfinite().all():
            raise ConfigError(f"{field} is {value!r}: needs finite numbers")
        self.field = field
        self.numbers = numbers
        if isinstance(networks, list):
            # before a model is loaded; of "all", the count is known only then
            self._require(len(set(networks)))

    def _require(self, count: int) -> None:
        if len(self.numbers) not in (1, count):
            raise ConfigError(
                f"{self.field} has {len(self.numbers)} values for {count} networks: give one, or one for each"
            )

    def of_members(self, target: Target) -> Tensor:
        """Number of each member of the target, in the order of the neurons."""
        count = len(target.networks)
        self._require(count)
        numbers = torch.tensor(self.numbers * (count if len(self.numbers) == 1 else 1))
        return numbers[target.labels[target.members]]

    def __str__(self) -> str:
        return ", ".join(f"{each:g}" for each in self.numbers)


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
        self.factors = _OneEach("intervention.factor", factor, networks)

    @property
    @override
    def single_factor(self) -> float | None:
        return self.factors.numbers[0] if len(self.factors.numbers) == 1 else None

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.scale[target.members] = self.factors.of_members(target)
        return edit

    @override
    def describe(self) -> str:
        return f"scale {self.factors}"


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
        if min(self.factors.numbers) <= 1:
            raise ConfigError(
                f"intervention.factor is {self.factors}, amplify needs more than 1: "
                "intervention=scale takes any factor"
            )

    @override
    def describe(self) -> str:
        return f"amplify {self.factors}"


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
        self.values = _OneEach("intervention.value", value, networks)

    @override
    def edit(self, target: Target) -> Edit:
        edit = no_edit(target.layout.n_neurons)
        edit.shift[target.members] = self.values.of_members(target)
        return edit

    @override
    def describe(self) -> str:
        return f"shift {self.values}"


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
