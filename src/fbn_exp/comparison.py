"""A score beside its baseline and its controls: the only form in which a result is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fbn_exp.config.choices import ControlKind
from fbn_exp.scores import Difference, Score, difference


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
        """Share of the controls of a kind that score worse than the network; ties count half."""
        direction = 1 if self.score.higher_is_better else -1
        harm = np.array([direction * (self.score.value - each.value) for each in self.controls[kind]])
        return float(np.mean((harm > 0) + 0.5 * (harm == 0)))

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
    """
    before = {score.name: score for score in baseline}
    drawn = {kind: [{each.name: each for each in run} for run in runs] for kind, runs in controls.items()}
    return [
        Comparison(
            score,
            before[score.name],
            difference(score, before[score.name]),
            {kind: [run[score.name] for run in runs] for kind, runs in drawn.items()},
        )
        for score in scores
    ]
