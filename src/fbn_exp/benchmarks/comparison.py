"""A score beside its baseline and its controls: the only form in which a result is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fbn_exp.benchmarks.inference import Difference, difference
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.interventions.config import ControlKind

# roles in a table of scores before and after training
TRAINED, OTHER = "trained", "other"


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

    def metrics(self) -> dict[str, float]:
        """Flat numbers under stable names.

        ``control/<kind>/…`` is the mean over the controls of a kind; ``…/rank`` is the share of them that
        score worse than the network does: 0 if the network does more harm than every control.
        """
        name = self.score.name
        values = {
            name: self.score.value,
            f"{name}/standard_error": self.score.standard_error,
            f"{name}/n": float(self.score.n),
            f"baseline/{name}": self.baseline.value,
            f"delta/{name}": self.delta.value,
            f"delta/{name}/ci_low": self.delta.ci_low,
            f"delta/{name}/ci_high": self.delta.ci_high,
            f"delta/{name}/p_value": self.delta.p_value,
        }
        if self.score.chance is not None:
            values[f"{name}/chance"] = self.score.chance
        for kind, scores in self.controls.items():
            found = [each.value for each in scores]
            control = f"control/{kind.value}/{name}"
            values[control] = float(np.mean(found))
            values[f"{control}/low"] = float(np.min(found))
            values[f"{control}/high"] = float(np.max(found))
            values[f"{control}/rank"] = self.rank(kind)
        return values

    def rank(self, kind: ControlKind) -> float:
        """Share of the controls of a kind that score worse than the network; ties count half.

        NaN if one of the scores is.
        """
        own, found = self.score.value, np.array([each.value for each in self.controls[kind]])
        if np.isnan([own, *found]).any():
            return float("nan")
        worse = found < own if self.score.higher_is_better else found > own
        return float(np.mean(worse + 0.5 * (found == own)))

    def row(self) -> dict[str, float | str | None]:
        """One line of the table of results."""
        row: dict[str, float | str | None] = {
            "task": self.score.task,
            "metric": self.score.metric,
            "value": self.score.value,
            "baseline": self.baseline.value,
            "delta": self.delta.value,
            "ci_low": self.delta.ci_low,
            "ci_high": self.delta.ci_high,
            "p_value": self.delta.p_value,
            "n": self.score.n,
            "chance": self.score.chance,
            "higher_is_better": str(self.score.higher_is_better),
        }
        for kind in ControlKind:
            found = [each.value for each in self.controls.get(kind, [])]
            row[f"control_{kind.value}"] = float(np.mean(found)) if found else None
            row[f"control_{kind.value}_low"] = float(np.min(found)) if found else None
            row[f"control_{kind.value}_high"] = float(np.max(found)) if found else None
            row[f"rank_{kind.value}"] = self.rank(kind) if found else None
        return row


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
