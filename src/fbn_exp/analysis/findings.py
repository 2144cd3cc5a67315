"""What consistency found, and the null hypothesis that is harder to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fbn_exp.analysis.recurrence import Against, Matches, with_total
from fbn_exp.analysis.retest import Retest

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the report needs; see ``fbn_exp.analysis.recurrence`` and ``fbn_exp.analysis.retest``.

    Attributes
    ----------
    found, shifted : Matches
        Of the individual networks, and of those of shifted signals.
    count, iou : dict of str to Against
        By null: ``masks`` and ``shift``.
    correlation : Against
        Matched |r| beside that of shifted signals; masks have no maps to correlate.
    halves : Retest or None
        None if texts are too short for it.
    sizes : array of shape (K,)
        Neurons of the templates.
    individual_size : float
        Median neurons of an individual network.
    n_components : int
        Individual networks of a text.
    minimum_iou : float
        What a match exceeds.
    templates, texts : str
        Where the templates and the individual networks come from.
    asked : int or None
        Texts that were asked for.
    """

    found: Matches
    shifted: Matches
    count: dict[str, Against]
    iou: dict[str, Against]
    correlation: Against
    halves: Retest | None
    sizes: NDArray[np.int64]
    individual_size: float
    n_components: int
    minimum_iou: float
    templates: str
    texts: str
    asked: int | None

    @property
    def totals(self) -> Array:
        """Count of each template, and of all together, shape (K + 1,)."""
        return with_total(self.found.count.sum(axis=0))

    @property
    def individual(self) -> int:
        """Number of individual networks over all texts."""
        return len(self.found.count) * self.n_components

    @property
    def chance(self) -> Array:
        """Expected count of each template and of all, under the null that expects more, shape (K + 1,)."""
        return np.maximum(self.count["masks"].expected, self.count["shift"].expected)

    @property
    def p_value(self) -> Array:
        """Of each template's count and of the sum, under the null that is harder to beat, shape (K + 1,)."""
        return np.maximum(self.count["masks"].p_value, self.count["shift"].p_value)
