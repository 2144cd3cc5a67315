"""Present a training run, and scores before and after it, as numbers, tables, pictures and sentences."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from fbn_exp.benchmarks.comparison import BeforeAfter, Comparison
from fbn_exp.benchmarks.score import Score
from fbn_exp.report.figures.forgetting import OTHER, TRAINED, headlines
from fbn_exp.report.figures.training import training_figure
from fbn_exp.report.presentation import Presentation, peak_memory
from fbn_exp.report.scores import comparison_metrics, score_metric_names

WHERE = "task / metric"


@dataclass(frozen=True, eq=False)
class Training:
    """A training run.

    Attributes
    ----------
    trainable : str
        Choice of the trained parameters, in words.
    n_parameters, n_trained : int
        Number of parameters of the model, and of those that were trained.
    n_neurons : int or None
        Number of neurons that select the trained parameters; None if no neurons do.
    n_texts : int
        Number of training texts.
    n_steps : int
        Number of updates.
    best_step : int or None
        Update of the best checkpoint, which was kept.
    seconds : float
        Duration.
    history : DataFrame
        Table with a row per logged update.
    loss : str
        Name of the metric that was minimised on dev.
    chance : float or None
        Accuracy of the majority label on dev.
    lesioned : sequence of Score
        Scores on test under the intervention of the training; empty without one.
    """

    trainable: str
    n_parameters: int
    n_trained: int
    n_neurons: int | None
    n_texts: int
    n_steps: int
    best_step: int | None
    seconds: float
    history: pd.DataFrame
    loss: str
    chance: float | None
    lesioned: Sequence[Score]


def present_training(training: Training) -> Presentation:
    """Present a training run."""
    metrics = {} if training.n_neurons is None else {"neurons": float(training.n_neurons)}
    metrics |= {
        "parameters": float(training.n_parameters),
        "parameters/trainable": float(training.n_trained),
        "texts": float(training.n_texts),
        **{f"lesioned/{each.name}": each.value for each in training.lesioned},
        "steps": float(training.n_steps),
        "best_step": float(training.best_step or 0),
        "training/seconds": training.seconds,
    }
    draw = partial(training_figure, training.history, training.loss, training.best_step, training.chance)
    return Presentation(metrics=metrics, tables={"training": training.history}, figures={"training": draw})


def training_names(scores: Collection[str]) -> list[str]:
    """Names that the metrics of a training run can have, by the names of its scores, ``<task>/<metric>``."""
    return [
        *("neurons", "parameters", "parameters/trainable", "texts", "steps", "best_step", "training/seconds"),
        *(f"lesioned/{name}" for name in scores),
        *score_metric_names(scores),
        *peak_memory(),
    ]


def present_forgetting(scores: BeforeAfter, training: Training) -> Presentation:
    """Present scores before and after training."""
    metrics: dict[str, float] = {}
    for each in (*scores.trained, *scores.others):
        metrics |= comparison_metrics(each)
    return Presentation(
        metrics={**metrics, **peak_memory()},
        tables={"forgetting": forgetting_table(scores, training)},
        title=f"Before and after training {training.trainable}",
        rows=pd.DataFrame(
            [_shown(each, " (trained)") for each in scores.trained] + [_shown(each) for each in scores.others]
        ),
        words=(WHERE,),
    )


def forgetting_table(scores: BeforeAfter, training: Training) -> pd.DataFrame:
    """Table with a row per task and metric."""
    rows = [
        {
            "trainable": training.trainable,
            "trained_parameters": float(training.n_trained),
            "role": role,
            "task": each.score.task,
            "metric": each.score.metric,
            "before": each.baseline.value,
            "after": each.score.value,
            "delta": each.delta.value,
            "ci_low": each.delta.ci_low,
            "ci_high": each.delta.ci_high,
            "n": each.score.n,
            "chance": each.score.chance,
            "higher_is_better": each.score.higher_is_better,
        }
        for role, comparisons in ((TRAINED, scores.trained), (OTHER, scores.others))
        for each in comparisons
    ]
    return pd.DataFrame(rows)


def _shown(comparison: Comparison, role: str = "") -> dict[str, str]:
    chance, delta = comparison.score.chance, comparison.delta
    return {
        WHERE: comparison.score.name + role,
        "before": f"{comparison.baseline.value:.4g}",
        "after": f"{comparison.score.value:.4g}",
        "difference": f"{delta.value:+.4g}",
        "95% interval": f"{delta.ci_low:+.3g} … {delta.ci_high:+.3g}",
        "chance": "–" if chance is None or chance != chance else f"{chance:.4g}",
    }


def present_sweep(forgetting: pd.DataFrame) -> Presentation:
    """Present a sweep as a table with a row per choice of trained parameters and a column per task.

    Parameters
    ----------
    forgetting : DataFrame
        Rows of ``forgetting_table`` of all jobs.
    """
    columns = list(headlines(forgetting))
    by_choice = {title.replace(": ", "\n", 1): rows.set_index("choice") for title, rows in columns}
    sizes = dict(zip(forgetting["job"], forgetting["trained_parameters"], strict=True))
    rows = [
        {
            "trained": choice,
            "parameters": f"{int(sizes[job]):,}",
            **{
                title: _cell(each.loc[choice]) if choice in each.index else "–"
                for title, each in by_choice.items()
            },
        }
        for choice, job in columns[0][1][["choice", "job"]].itertuples(index=False)
    ]
    title = "After training, and the difference to before with its 95% interval"
    return Presentation(title=title, rows=pd.DataFrame(rows), words=("trained",))


def _cell(row: "pd.Series[float]") -> str:
    return f"{row['after']:.4g}\n{row['delta']:+.3g}\n({row['ci_low']:+.2g} … {row['ci_high']:+.2g})"
