"""Options of the config group ``intervention``, kinds of controls, and export."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING
from typing_extensions import override

from fbn_exp.core.checks import FLOAT32_LIMIT, LARGEST_COUNT, require_choice
from fbn_exp.core.errors import ConfigError


class Fill(StrEnum):
    """Value that an edited neuron is moved to.

    ``zero``; ``mean``, its mean over all tokens of the extraction texts; ``position_mean``, its mean over
    their first tokens at first tokens, over the others elsewhere; ``resample``, its value at a token of
    another text, first tokens from first tokens.
    """

    zero = "zero"
    mean = "mean"
    position_mean = "position_mean"
    resample = "resample"


class Place(StrEnum):
    """Tokens of each text at which neurons are edited: ``all``, all but the first, or the first only."""

    all = "all"
    first_spared = "first_spared"
    first_only = "first_only"


class Members(StrEnum):
    """Members of networks that are edited: ``all``, the keystones, those that are none, or ``none`` at all.

    A keystone is a neuron whose removal alone breaks the model, see ``analysis=keystones``. ``none`` is the
    anchor of ``intervention=preserve``: it keeps no neuron.
    """

    all = "all"
    keystones = "keystones"
    without_keystones = "without_keystones"
    none = "none"

    @property
    def needs_keystones(self) -> bool:
        """True if the choice depends on the keystones of the model."""
        return self in (Members.keystones, Members.without_keystones)


class ControlKind(StrEnum):
    """Kind of control, by what it has in common with the intervention.

    Kinds of chance, of which many are drawn. ``random``, ``per_block`` and ``activation`` are as many other
    neurons: anywhere, in the same blocks, nearest in activity. ``energy``: other neurons from which as much
    energy is removed. ``rotation``: networks of a random rotation of the maps. ``share``: a fixed share of
    all neurons.

    ``noise``, random directions of the same norm at the same tokens, is drawn too, but no choice of neurons
    is a draw of it: random neurons differ from noise in most cases, so that it anchors the dose and has no p.

    References, one each, which are what one would pick without networks: ``top_energy``, as many neurons of
    most energy, and ``attribution``, as many of largest gradient × activation.
    """

    random = "random"
    per_block = "per_block"
    activation = "activation"
    energy = "energy"
    noise = "noise"
    rotation = "rotation"
    share = "share"
    top_energy = "top_energy"
    attribution = "attribution"

    @property
    def is_reference(self) -> bool:
        """True for a selection that involves no chance, of which there is one."""
        return self in (ControlKind.top_energy, ControlKind.attribution)

    @property
    def is_chance(self) -> bool:
        """True for kinds whose draws are other choices of neurons or maps, the only ones with a p value."""
        return not self.is_reference and self is not ControlKind.noise


def require_selection(name: str, networks: Any) -> Any:
    """Require ``all``, a list of indices, or a single index, which is returned as a list."""
    if type(networks) is int:
        networks = [networks]
    indices = networks if isinstance(networks, list) else []
    if (networks != "all" and not indices) or not all(
        type(index) is int and 0 <= index <= LARGEST_COUNT for index in indices
    ):
        raise ConfigError(f"{name} is {networks!r}: all, or a list of indices such as [0,2]")
    return networks


def numbers_of(name: str, value: object) -> list[float]:
    """Parse a setting that is one number for all networks, or one number per network in their order.

    Raises
    ------
    ConfigError
        If a number is not finite, or there is none.
    """
    many = isinstance(value, Sequence) and not isinstance(value, str)
    values: Any = value if many else [value]
    try:
        numbers = [float(entry) for entry in values if not isinstance(entry, bool)]
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} is {value!r}: a number, or a list with one number per network") from None
    if (
        not numbers
        or len(numbers) < len(values)
        or not all(abs(number) < FLOAT32_LIMIT for number in numbers)
    ):
        raise ConfigError(f"{name} is {value!r}: needs finite numbers")
    return numbers


def require_one_or_each(name: str, numbers: Sequence[float], count: int) -> None:
    """Require one number, or one per network."""
    if len(numbers) not in (1, count):
        raise ConfigError(f"{name} has {len(numbers)} values for {count} networks: give one, or one for each")


@dataclass
class InterventionConfig:
    """Intervention on the neurons of networks.

    Attributes
    ----------
    networks : "all" or list of int
        Networks to intervene on.

    Raises
    ------
    ConfigError
        If ``networks`` is neither.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    networks: Any = "all"

    def __post_init__(self) -> None:
        self.networks = require_selection("intervention.networks", self.networks)

    @property
    def never_in_weights(self) -> str | None:
        """Why it has no equivalent in weights whatever its settings, in words; None if some have one."""
        return None

    @property
    def numbers(self) -> dict[str, list[float]]:
        """Settings that are one number for all networks or one per network, by name."""
        return {}

    def require_fit(self, count: int) -> None:
        """Refuse settings for other networks than ``count`` of them, numbered from 0.

        Raises
        ------
        ConfigError
            If ``networks`` names one that there is not, or a setting has neither one number nor as many as
            networks.
        """
        chosen = range(count) if self.networks == "all" else set(self.networks)
        if wrong := sorted({*chosen} - {*range(count)}):
            raise ConfigError(f"intervention.networks names {wrong}, there are networks 0 to {count - 1}")
        for name, numbers in self.numbers.items():
            require_one_or_each(name, numbers, len(chosen))

    def _require_one_or_each(self) -> None:
        for name, numbers in self.numbers.items():
            # for "all", the count is known only with the networks
            if isinstance(self.networks, list):
                require_one_or_each(name, numbers, len(set(self.networks)))


@dataclass
class NoInterventionConfig(InterventionConfig):
    """No intervention: the untouched model."""

    _target_: str = field(default="fbn_exp.interventions.rules.NoIntervention", kw_only=True, repr=False)


@dataclass
class EditConfig(InterventionConfig):
    """Intervention that edits members at some tokens.

    Attributes
    ----------
    tokens : Place
        Tokens of each text at which neurons are edited: ``all``, ``first_spared``, or ``first_only``.
    members : Members
        Members that are edited: ``all``, ``keystones``, those ``without_keystones``, or ``none``.
    allow_empty : bool
        True goes on without a neuron where no member is a keystone, or none is anything else, as in a sweep
        over models with and without keystones; False refuses.
    """

    tokens: Place = field(default=Place.all, kw_only=True)
    members: Members = field(default=Members.all, kw_only=True)
    allow_empty: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tokens = require_choice(Place, "intervention.tokens", self.tokens)
        self.members = require_choice(Members, "intervention.members", self.members)


@dataclass
class FilledConfig(EditConfig):
    """Intervention that moves members to another value: factor · x + (1 − factor) · fill.

    Attributes
    ----------
    fill : Fill
        Value that neurons are moved to: ``zero``, ``mean``, ``position_mean``, or ``resample``.
    """

    fill: Fill = field(default=Fill.zero, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fill = require_choice(Fill, "intervention.fill", self.fill)


@dataclass
class InhibitConfig(FilledConfig):
    """Set members to 0, the paper's lesion, or to another fill."""

    _target_: str = field(default="fbn_exp.interventions.rules.Inhibit", kw_only=True, repr=False)


@dataclass
class ScaleConfig(FilledConfig):
    """Multiply members by a factor, or move them towards another fill than 0.

    Attributes
    ----------
    factor : float or list of float
        One factor for all, or one per chosen network, in their order. 0 inhibits, 1 changes nothing.

    Raises
    ------
    ConfigError
        If a factor is not a finite number, or there are not as many as networks.
    """

    _target_: str = field(default="fbn_exp.interventions.rules.Scale", kw_only=True, repr=False)
    factor: Any = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one_or_each()

    @property
    def factors(self) -> list[float]:
        """Factors, one for all networks or one per network."""
        return numbers_of("intervention.factor", self.factor)

    @property
    @override
    def numbers(self) -> dict[str, list[float]]:
        return {"intervention.factor": self.factors}


@dataclass
class AmplifyConfig(ScaleConfig):
    """Multiply members by a factor above 1.

    Raises
    ------
    ConfigError
        If a factor is not above 1.
    """

    _target_: str = field(default="fbn_exp.interventions.rules.Amplify", kw_only=True, repr=False)
    factor: Any = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.factors) <= 1:
            raise ConfigError(
                f"intervention.factor is {self.factor}, amplify needs more than 1: "
                "intervention=scale takes any factor"
            )


@dataclass
class ShiftConfig(EditConfig):
    """Add a constant to members: the additive variant of the paper's public code.

    Attributes
    ----------
    value : float or list of float
        Constant in units of the activation; one for all, or one per chosen network.

    Raises
    ------
    ConfigError
        If a value is not a finite number, or there are not as many as networks.
    """

    _target_: str = field(default="fbn_exp.interventions.rules.Shift", kw_only=True, repr=False)
    value: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one_or_each()

    @property
    def values(self) -> list[float]:
        """Constants, one for all networks or one per network."""
        return numbers_of("intervention.value", self.value)

    @property
    @override
    def numbers(self) -> dict[str, list[float]]:
        return {"intervention.value": self.values}


@dataclass
class MeanConfig(InhibitConfig):
    """Replace members by their mean over the extraction texts: ``inhibit`` with ``fill=mean``."""

    _target_: str = field(default="fbn_exp.interventions.rules.Mean", kw_only=True, repr=False)
    fill: Fill = field(default=Fill.mean, kw_only=True)


@dataclass
class PreserveConfig(FilledConfig):
    """Set all neurons outside the networks to 0, or to another fill."""

    _target_: str = field(default="fbn_exp.interventions.rules.Preserve", kw_only=True, repr=False)


@dataclass
class ExportConfig:
    """Folder to save the model to, with the intervention in its weights; null does not save it."""

    path: str | None = None
