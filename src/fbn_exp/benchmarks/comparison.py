"""A score beside its baseline and its controls: the only form in which a result is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fbn_exp.benchmarks.inference import Difference, difference
from fbn_exp.benchmarks.score import Array, Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.interventions.config import ControlKind


@dataclass(frozen=True)
class Comparison:
    """One metric of one task under an intervention.

    Attributes
    ----------
    score, baseline : Score
        With the intervention, and of the untouched model.
    delta : Difference
        Score minus baseline, paired over items.
    controls : dict of ControlKind to list of Score
        The same intervention on matched random neurons.
    """

    score: Score
    baseline: Score
    delta: Difference
    controls: dict[ControlKind, list[Score]]

    def drawn(self, kind: ControlKind) -> Array:
        """Scores of the controls of a kind; none if it was not drawn."""
        return np.array([each.value for each in self.controls.get(kind, [])])

    def rank(self, kind: ControlKind) -> float:
        """Share of the controls of a kind that score worse than the network; ties count half.

        0 if the network does more harm than every control; NaN if one of the scores is.
        """
        own, found = self.score.value, self.drawn(kind)
        if np.isnan([own, *found]).any():
            return float("nan")
        worse = found < own if self.score.higher_is_better else found > own
        return float(np.mean(worse + 0.5 * (found == own)))


@dataclass(frozen=True)
class BeforeAfter:
    """What training changed.

    Attributes
    ----------
    trained : list of Comparison
        Scores on the task itself, the baseline being those before.
    others : list of Comparison
        Scores on other tasks, which may be forgotten.
    """

    trained: list[Comparison]
    others: list[Comparison]


def compare(
    scores: Sequence[Score],
    baseline: Sequence[Score],
    controls: Mapping[ControlKind, Sequence[Sequence[Score]]],
) -> list[Comparison]:
    """Match scores by task and metric over the baseline and all controls.

    Parameters
    ----------
    scores, baseline : sequence of Score
        With the intervention and without.
    controls : mapping of ControlKind to sequence of sequence of Score
        Scores of each control draw.

    Raises
    ------
    BenchmarkError
        If the baseline or a control lacks a score, or is over other items.
    """
    before = {score.name: score for score in baseline}
    drawn = {kind: [{each.name: each for each in run} for run in runs] for kind, runs in controls.items()}
    for score in scores:
        if not all(score.name in run for run in (before, *(run for runs in drawn.values() for run in runs))):
            raise BenchmarkError(f"{score.name} was scored under the intervention, but not without it")
    return [
        Comparison(
            score,
            before[score.name],
            difference(score, before[score.name]),
            {kind: [run[score.name] for run in runs] for kind, runs in drawn.items()},
        )
        for score in scores
    ]
