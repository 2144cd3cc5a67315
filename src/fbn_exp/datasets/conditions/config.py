"""Options of a data set of several conditions."""

from dataclasses import dataclass, field

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.config import DatasetConfig


@dataclass
class ConditionsConfig(DatasetConfig):
    """Several data sets, the conditions of an experiment; every text is labelled with its condition.

    Attributes
    ----------
    conditions : mapping of str to DatasetConfig
        The data sets by the names of their conditions.
    n_texts : int or None
        Number of texts of every condition, in place of its own; None takes all.
    tokens_per_text, min_tokens : int
        Limits of the texts of all conditions, beside those of each.
    split : Split
        Part of every condition's source, in place of its own; a condition with ``split=all`` keeps that.
    seed : int
        Seed of the shuffle of every condition, in place of its own.

    Raises
    ------
    ConfigError
        If there is no condition or a setting is out of range.
    """

    _target_: str = field(default="fbn_exp.datasets.conditions.dataset.Conditions", kw_only=True, repr=False)
    conditions: dict[str, DatasetConfig] = field(default_factory=dict)
    min_tokens: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.conditions:
            raise ConfigError(
                "dataset.conditions is empty: name at least one condition, as in "
                "+dataset@dataset.conditions.mine=files dataset.conditions.mine.paths=[mine.txt]"
            )

    @property
    def known_labels(self) -> tuple[str, ...]:
        """Names of the conditions."""
        return tuple(self.conditions)
