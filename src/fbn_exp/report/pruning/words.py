"""Present a pruned model, and scores before and after, as numbers, a table, a picture and sentences."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

import pandas as pd

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.core.files import in_words
from fbn_exp.pruning.config import Criterion
from fbn_exp.pruning.outcome import Pruned
from fbn_exp.report.inference.words import interval_text
from fbn_exp.report.presentation import Presentation, peak_memory
from fbn_exp.report.pruning.settings import setting_in_words, varied_settings
from fbn_exp.report.scores import comparison_metrics, score_metric_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRUNED, RECOVERED = "pruned", "recovered"
WHERE = "task / metric"
SIZES = ("parameters", "mlp_parameters", "weight_bytes")
SPEEDS = ("before", "after", "ratio", "ci_low", "ci_high", "peak_before", "peak_after")


def present_pruning(
    pruned: Pruned, comparisons: Sequence[Comparison], recovered: Sequence[Comparison]
) -> Presentation:
    """Present a pruned model.

    Parameters
    ----------
    pruned : Pruned
        The model, its size and speed.
    comparisons : sequence of Comparison
        Its scores, beside those of the original.
    recovered : sequence of Comparison
        Its scores after a fine-tune, beside those of the original; empty without one.
    """
    metrics = _numbers(pruned)
    for each in comparisons:
        metrics |= comparison_metrics(each)
    for each in recovered:
        metrics |= {f"{RECOVERED}/{name}": value for name, value in comparison_metrics(each).items()}
    states = {PRUNED: comparisons, RECOVERED: recovered}
    table = pd.DataFrame([_row(pruned, state, each) for state, some in states.items() for each in some])
    return Presentation(
        metrics={**metrics, **peak_memory()},
        tables={"pruning": table} if len(table) else {},
        figures={"changes": partial(_draw, table)} if len(table) else {},
        title=f"Before and after pruning {title_of(pruned)}",
        rows=pd.DataFrame([_shown(state, each) for state, some in states.items() for each in some]),
        words=(WHERE, "model"),
        lines=_lines(pruned),
        remarks=list(pruned.remarks),
    )


def pruning_names(scores: Collection[str]) -> list[str]:
    """Names that the metrics of a pruning run can have, by the names of its scores, ``<task>/<metric>``."""
    names = score_metric_names(scores)
    return [
        *("pruned/neurons", "pruned/ratio", "pruned/logit_error", "pruned/checkpoint_bytes"),
        *(f"{when}/{name}" for when in ("original", "pruned") for name in SIZES),
        *(f"speed/{name}" for name in SPEEDS),
        *names,
        *(f"{RECOVERED}/{name}" for name in names),
        *peak_memory(),
    ]


def present_ratios(pruning: pd.DataFrame) -> Presentation:
    """Present a sweep as a table with a row per pruned model and a column per task, its first metric.

    Parameters
    ----------
    pruning : DataFrame
        Rows of the table ``pruning`` of all jobs.
    """
    settings = varied_settings(pruning)
    heads = ["job", "model", "criterion", "ratio", "parameters", *settings]
    first = pruning.groupby("task", sort=False)["metric"].transform("first")
    rows = []
    for key, mine in pruning[pruning["metric"] == first].groupby(heads, sort=False):
        job, model, criterion, ratio, parameters, *values = key
        named = {"job": job, "model": model, "criterion": criterion, "pruned": f"{ratio:.1%}"}
        if settings:
            named["settings"] = " ".join(starmap(setting_in_words, zip(settings, values, strict=True)))
        scores = zip(mine["task"], mine["after"], mine["delta"], strict=True)
        cells = {task: f"{after:.3g} ({delta:+.2g})" for task, after, delta in scores}
        rows.append(named | {"parameters": f"{parameters:,}"} | cells)
    title = "After pruning, and the difference to before"
    return Presentation(title=title, rows=pd.DataFrame(rows), words=("model", "criterion", "settings"))


def title_of(pruned: Pruned) -> str:
    """Describe what was pruned in a few words."""
    by = {Criterion.networks: "outside of networks", Criterion.random: "at random"}
    criterion = pruned.config.criterion
    how = by.get(criterion, f"by {criterion.value}")
    return f"{pruned.selection.ratio:.1%} of hidden neurons {how}" + (
        ", with bias" if pruned.config.bias else ""
    )


def _numbers(pruned: Pruned) -> dict[str, float]:
    numbers = {
        "pruned/neurons": float(pruned.selection.pruned.sum()),
        "pruned/ratio": pruned.selection.ratio,
        "pruned/logit_error": pruned.logit_error,
    }
    for when, size in (("original", pruned.before), ("pruned", pruned.after)):
        numbers |= {f"{when}/{name}": float(getattr(size, name)) for name in SIZES}
    if pruned.after.checkpoint_bytes is not None:
        numbers["pruned/checkpoint_bytes"] = float(pruned.after.checkpoint_bytes)
    if pruned.speed is not None:
        measured = {name: getattr(pruned.speed, name) for name in SPEEDS}
        numbers |= {f"speed/{name}": float(value) for name, value in measured.items() if value is not None}
    return numbers


def _row(pruned: Pruned, state: str, comparison: Comparison) -> dict[str, Any]:
    """Row of the table: what was pruned, and a score before and after."""
    score, delta = comparison.score, comparison.delta
    return {
        "model": state,
        "criterion": pruned.config.criterion.value,
        "ratio": pruned.selection.ratio,
        "form": "smaller" if pruned.smaller else "masked",
        "spared": len(pruned.selection.spared),
        "bias": pruned.config.bias,
        "parameters": pruned.after.parameters,
        "parameters_saved": 1 - pruned.after.parameters / pruned.before.parameters,
        "speed_ratio": None if pruned.speed is None else pruned.speed.ratio,
        "task": score.task,
        "metric": score.metric,
        "before": comparison.baseline.value,
        "after": score.value,
        "delta": delta.value,
        "ci_low": delta.ci_low,
        "ci_high": delta.ci_high,
        "p_value": delta.p_value,
        "n": score.n,
        "chance": score.chance,
        "higher_is_better": score.higher_is_better,
    }


def _shown(state: str, comparison: Comparison) -> dict[str, str]:
    return {
        "model": state,
        WHERE: comparison.score.name,
        "before": f"{comparison.baseline.value:.4g}",
        "after": f"{comparison.score.value:.4g}",
        "difference": f"{comparison.delta.value:+.4g}",
        "95% interval": interval_text(comparison.delta),
    }


def _lines(pruned: Pruned) -> list[str]:
    before, after = pruned.before, pruned.after
    saved = 1 - after.parameters / before.parameters
    lines = [
        f"{after.parameters:,} parameters, {saved:.1%} less than {before.parameters:,}; weights take "
        f"{in_words(after.weight_bytes)} of memory, before {in_words(before.weight_bytes)}."
    ]
    limits = [each for each in pruned.selection.thresholds if each is not None]
    if pruned.config.criterion is Criterion.networks and limits:
        lines.append(f"Kept are neurons with |z| > {min(limits):.2f} to {max(limits):.2f}, by block.")
    if pruned.speed is not None:
        speed = pruned.speed
        lines.append(
            f"{speed.after:,.0f} tokens per second, before {speed.before:,.0f}: {speed.ratio:.2f} times as "
            f"fast (95% interval of the median of pairs {speed.ci_low:.2f} … {speed.ci_high:.2f})."
        )
    return lines


def _draw(table: pd.DataFrame) -> "Figure":
    from fbn_exp.report.pruning.figures import changes_figure  # late: imports matplotlib

    return changes_figure(table)
