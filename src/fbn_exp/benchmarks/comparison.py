"""Comparison of a score with its baseline and its controls: the form in which results are reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fbn_exp.benchmarks.inference.draws import AmongDraws, among_draws
from fbn_exp.benchmarks.inference.paired import Difference, difference
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind


@dataclass(frozen=True)
class Comparison:
    """One metric of one task under an intervention.

    Attributes
    ----------
    score, baseline : Score
        Scores with the intervention, and of the untouched model.
    delta : Difference
        Score minus baseline, paired over items. A distance from the untouched model has an interval, but no
        p value: it is above 0 for any edit, and a test would only count the items.
    controls : dict of ControlKind to list of Score
        Scores with the same intervention on other neurons, one for each draw of a kind.
    """

    score: Score
    baseline: Score
    delta: Difference
    controls: dict[ControlKind, list[Score]]

    @cached_property
    def among(self) -> dict[ControlKind, AmongDraws]:
        """Inference on the score among the draws of each kind of chance; noise and references have none."""
        return {
            kind: among_draws(self.score, draws)
            for kind, draws in self.controls.items()
            if draws and kind.is_chance
        }

    @property
    def references(self) -> dict[ControlKind, Score]:
        """Scores of selections that are no chance, such as the neurons with the most energy."""
        return {kind: draws[0] for kind, draws in self.controls.items() if draws and kind.is_reference}

    def drawn(self, kind: ControlKind) -> Array:
        """Scores of the controls of a kind; empty if none were drawn."""
        return np.array([control.value for control in self.controls.get(kind, [])])

    def rank(self, kind: ControlKind) -> float:
        """Share of the controls of a kind that score worse than the network; ties count half.

        0 if the intervention does more harm on the network than on every control; NaN if a score is NaN.
        """
        value, controls = self.score.value, self.drawn(kind)
        if np.isnan([value, *controls]).any():
            return float("nan")
        worse = controls < value if self.score.higher_is_better else controls > value
        return float(np.mean(worse + 0.5 * (controls == value)))


@dataclass(frozen=True)
class BeforeAfter:
    """Scores before and after training.

    Attributes
    ----------
    trained : list of Comparison
        Scores on the trained task; the baseline is the score before training.
    others : list of Comparison
        Scores on other tasks, which training may impair.
    """

    trained: list[Comparison]
    others: list[Comparison]


def compare(
    scores: Sequence[Score],
    baseline: Sequence[Score],
    controls: Mapping[ControlKind, Sequence[Sequence[Score]]],
) -> list[Comparison]:
    """Pair scores by task and metric with the baseline and all controls.

    Parameters
    ----------
    scores, baseline : sequence of Score
        Scores with the intervention and without.
    controls : mapping of ControlKind to sequence of sequence of Score
        Scores of each draw of controls.

    Raises
    ------
    BenchmarkError
        If the baseline or a control lacks a score, or is over other items.
    """
    before = {score.name: score for score in baseline}
    drawn = {
        kind: [{control.name: control for control in run} for run in runs] for kind, runs in controls.items()
    }
    for score in scores:
        if not all(score.name in run for run in (before, *(run for runs in drawn.values() for run in runs))):
            raise BenchmarkError(f"{score.name} was scored under the intervention, but not without it")
    return [
        Comparison(
            score,
            before[score.name],
            _delta(score, before[score.name]),
            {kind: [run[score.name] for run in runs] for kind, runs in drawn.items()},
        )
        for score in scores
    ]


def _delta(score: Score, baseline: Score) -> Difference:
    delta = difference(score, baseline)
    if not score.from_untouched:
        return delta
    return replace(delta, p_value=float("nan"), detectable=float("nan"), equivalent_within=float("nan"))
