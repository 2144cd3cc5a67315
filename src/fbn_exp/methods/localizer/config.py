"""Options of the functional localizer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fbn_exp.core.checks import require, require_count, require_draws
from fbn_exp.core.errors import ConfigError
from fbn_exp.methods.config import MethodConfig


@dataclass
class Contrast:
    """Two sets of texts, each given by the labels of one or more conditions.

    Attributes
    ----------
    positive, negative : list of str
        Labels of the texts on either side; neurons of the network are more active in the positive ones.

    Examples
    --------
    >>> fbn.Contrast(positive=["math", "code"], negative=["wiki"])
    """

    positive: list[str]
    negative: list[str]


@dataclass(kw_only=True)
class LocalizerConfig(MethodConfig):
    """Networks of the neurons that tell two conditions apart, one for each contrast.

    Attributes
    ----------
    contrasts : mapping of str to Contrast
        The contrasts by the names of their networks.
    n_components : int or None
        Not to be set: there are as many networks as contrasts.
    magnitude : bool
        True compares the magnitude of every text's mean activation, as the authors of arXiv 2411.02280 do in
        their code; false compares the mean with its sign, so that members are up in the positive condition.
    splits : int
        Random splits of the texts of each condition into halves.
    permutations : int
        Permutations of the labels of the texts, the null of the agreement of halves; at least 19.
    fraction : float
        Share of the neurons, those with the largest z of one half of the texts, whose mean activity gives the
        effect size in the other half; above 0 and below 1.

    Raises
    ------
    ConfigError
        If there is no contrast, a condition is on both sides of one, or a setting is out of range.
    """

    _target_: str = field(default="fbn_exp.methods.localizer.method.Localizer", kw_only=True, repr=False)
    contrasts: dict[str, Contrast] = field(default_factory=dict)
    n_components: Any = None
    magnitude: bool = False
    splits: int = 10
    permutations: int = 99
    fraction: float = 0.01

    def __post_init__(self) -> None:
        if not self.contrasts:
            raise ConfigError(
                "method.contrasts is empty: take contrasts that there are, as in "
                "method/contrasts=[language,math]"
            )
        self.contrasts = {name: _contrast(name, given) for name, given in self.contrasts.items()}
        rule = f"be left out: method.contrasts names {len(self.contrasts)} networks"
        allowed = self.n_components in (None, len(self.contrasts))
        require(allowed, "method.n_components", self.n_components, rule)
        self.n_components = len(self.contrasts)
        super().__post_init__()
        require(
            not self.per_block, "method.per_block", self.per_block, "be false: neurons are tested one by one"
        )
        require_count("method.splits", self.splits)
        require_draws("method.permutations", self.permutations)
        require(0 < self.fraction < 1, "method.fraction", self.fraction, "be above 0 and below 1")

    @property
    def compared_labels(self) -> tuple[str, ...]:
        """Labels of the texts that the contrasts compare."""
        named = [label for each in self.contrasts.values() for label in (*each.positive, *each.negative)]
        return tuple(dict.fromkeys(named))


def _contrast(name: str, given: Contrast | Mapping[str, Any]) -> Contrast:
    """Contrast with its labels checked; Hydra gives a mapping where Python users give the dataclass."""
    contrast = given if isinstance(given, Contrast) else Contrast(**given)
    for side in ("positive", "negative"):
        labels = getattr(contrast, side)
        if isinstance(labels, str) or not labels:
            raise ConfigError(
                f"method.contrasts.{name}.{side} is {labels!r}, must be a list of labels, such as [A,B]"
            )
        setattr(contrast, side, [str(label) for label in labels])
    if both := set(contrast.positive) & set(contrast.negative):
        raise ConfigError(f"method.contrasts.{name} has {', '.join(sorted(both))} on both sides")
    return contrast
