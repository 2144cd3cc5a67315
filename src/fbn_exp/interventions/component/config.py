"""Options of the interventions ``project`` and ``subtract``."""

from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from fbn_exp.core.checks import require, require_choice
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import Fill, InterventionConfig, Place, numbers_of


@dataclass
class ComponentConfig(InterventionConfig):
    """Intervention on networks as directions, by all weights of their maps, not on their members.

    Attributes
    ----------
    factor : float or list of float
        What remains of each network: 0 nothing, 1 all, 2 doubles it. One factor for all, or one per chosen
        network, in their order.
    fill : Fill
        What deviations are counted from, and what activations are moved to along the network: ``zero``,
        ``mean`` or ``position_mean``.
    tokens : Place
        Tokens that are changed.

    Raises
    ------
    ConfigError
        If a factor is not a finite number, there are not as many as networks, or there is no such fill or
        place.
    """

    factor: Any = 0.0
    fill: Fill = Fill.position_mean
    tokens: Place = Place.all

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one_or_each()
        self.fill = require_choice(Fill, "intervention.fill", self.fill)
        self.tokens = require_choice(Place, "intervention.tokens", self.tokens)
        if self.fill is Fill.resample:
            raise ConfigError(
                "intervention.fill is resample: a direction has a mean, but no donor; take zero, mean or "
                "position_mean"
            )

    @property
    def factors(self) -> list[float]:
        """Factors, one for all networks or one per network."""
        return numbers_of("intervention.factor", self.factor)

    @property
    @override
    def numbers(self) -> dict[str, list[float]]:
        return {"intervention.factor": self.factors}


@dataclass
class ProjectConfig(ComponentConfig):
    """Take the directions of networks out of every block.

    Attributes
    ----------
    least_energy : float
        A network leaves a block alone that holds less than this share of the sum of squares of its map, from
        0 to below 1.
    energy : float or null
        Share of the energy of deviations from the fill, at the tokens that are changed, that is removed: the
        factor is solved for it on a sample of activations, so that any direction removes as much. Where a
        direction holds less, its factor is below 0: deviations are turned round. Null: ``factor`` as it is.

    Raises
    ------
    ConfigError
        If a share is out of range, or both a factor and an energy are given.
    """

    _target_: str = field(default="fbn_exp.interventions.component.project.Project", kw_only=True, repr=False)
    least_energy: float = 0.0
    energy: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "be from 0 to below 1"
        require(0 <= self.least_energy < 1, "intervention.least_energy", self.least_energy, rule)
        if self.energy is not None:
            rule = "be above 0 and at most 1, or null"
            require(0 < self.energy <= 1, "intervention.energy", self.energy, rule)
            if self.factors != [0.0]:
                raise ConfigError(
                    f"intervention.factor is {self.factor} and intervention.energy {self.energy}: the energy "
                    "decides the factor, give one of them"
                )


@dataclass
class SubtractConfig(ComponentConfig):
    """Subtract the time courses of networks times their maps, as an untouched pass gives them."""

    _target_: str = field(
        default="fbn_exp.interventions.component.subtract.Subtract", kw_only=True, repr=False
    )

    @property
    @override
    def never_in_weights(self) -> str:
        return (
            "subtract reads time courses from an untouched pass, which weights cannot hold: take "
            "intervention=project"
        )
