"""Present an evaluation as numbers, tables and sentences: scores beside their baseline and controls."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.benchmarks.evaluator import Controls, Evaluation
from fbn_exp.benchmarks.inference.paired import Difference
from fbn_exp.benchmarks.score import Score
from fbn_exp.core.files import Drawings
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.edit_size import size_columns, size_in_words, size_metric_names, size_metrics
from fbn_exp.report.inference.tables import (
    among_fields,
    control_table,
    draw_item_table,
    draw_table,
    item_table,
)
from fbn_exp.report.inference.words import among_text, inference_lines, interval_text, p_head, p_text
from fbn_exp.report.networks import N_TOKENS, mask_metrics
from fbn_exp.report.presentation import Presentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# generated texts on the console: rows, columns, characters
EXAMPLES, EXAMPLE_COLUMNS, EXAMPLE_CHARACTERS = 3, 3, 240
# how controls compare with the networks, by kind
LIKENESS = ("same_block", "activity_ratio", "energy_ratio")


def present_evaluation(
    evaluation: Evaluation, remarks: Sequence[str] = (), draw_items: bool = False
) -> Presentation:
    """Present an evaluation, with caveats about it, and with the items of every draw if asked for."""
    likeness = _likeness(evaluation.controls)
    size = evaluation.intervention.n_neurons(evaluation.target)
    metrics = {f"selected_factor/{name}": factor for name, factor in evaluation.factors.items()}
    if evaluation.n_factors:
        metrics["factors_tried"] = float(evaluation.n_factors)
    for each in evaluation.comparisons:
        metrics |= comparison_metrics(each)
    metrics |= {"neurons": float(size), **likeness, **size_metrics(evaluation.sizes)}
    tables = {"scores": _scores(evaluation, likeness), "items": item_table(evaluation.comparisons)}
    texts = _texts(evaluation.comparisons)
    if texts is not None:
        tables["texts"] = texts
    if any(each.controls for each in evaluation.comparisons):
        tables |= {
            "controls": control_table(evaluation.comparisons),
            "draws": draw_table(evaluation.comparisons, evaluation.control_factors),
        }
        if draw_items:
            tables["draw_items"] = draw_item_table(evaluation.comparisons)
    figures = _figures(evaluation)
    return Presentation(
        metrics=metrics,
        tables=tables,
        figures=figures,
        title=_title(evaluation),
        rows=_rows(evaluation.comparisons),
        words=("task / metric",),
        lines=[
            *inference_lines(evaluation.comparisons),
            *size_in_words(evaluation.sizes),
            *_what_to_look_at(figures),
        ],
        remarks=list(remarks),
        examples=pd.DataFrame() if texts is None else _shortened(texts),
    )


def _shortened(texts: pd.DataFrame) -> pd.DataFrame:
    """Beginning of the first few texts: untouched, with the intervention, with one control."""
    first = texts.iloc[:EXAMPLES, :EXAMPLE_COLUMNS]
    return first.map(lambda text: text.strip()[:EXAMPLE_CHARACTERS])


def evaluation_names(scores: Collection[str]) -> list[str]:
    """Names that the metrics of an evaluation can have, by the names of its scores, ``<task>/<metric>``."""
    kinds = [kind.value for kind in ControlKind]
    return [
        *score_metric_names(scores, list(ControlKind)),
        *(f"selected_factor/{name}" for name in scores),
        *("factors_tried", "neurons"),
        *(f"control/{kind}/{likeness}" for kind in kinds for likeness in LIKENESS),
        *size_metric_names(scores),
        *mask_metrics(torch.ones(1, 1, dtype=torch.bool)),
        N_TOKENS,
    ]


def score_metric_names(scores: Collection[str], kinds: Collection[ControlKind] = ()) -> list[str]:
    """Names of the metrics that comparisons of these scores with controls of these kinds can have."""
    names: dict[str, float] = {}
    for name in scores:
        task, _, metric = name.rpartition("/")
        score = Score(task, metric, 0.0, 0.0, 1, True, chance=0.0)
        names |= comparison_metrics(
            Comparison(score, score, Difference(0.0, 0.0, 0.0, 0.0), {kind: [score] for kind in kinds})
        )
    return list(names)


def comparison_metrics(comparison: Comparison) -> dict[str, float]:
    """Flat metrics of a comparison under stable names.

    ``control/<kind>/…`` is the mean over the controls of a kind; ``…/rank`` is the share of them that
    score worse than the networks: 0 if the networks do more harm than every control. Kinds of chance have
    the fields of ``AmongDraws``: ``…/p`` and so on.
    """
    name = comparison.score.name
    values = {
        name: comparison.score.value,
        f"{name}/standard_error": comparison.score.standard_error,
        f"{name}/n": float(comparison.score.n),
        f"baseline/{name}": comparison.baseline.value,
        f"delta/{name}": comparison.delta.value,
        f"delta/{name}/ci_low": comparison.delta.ci_low,
        f"delta/{name}/ci_high": comparison.delta.ci_high,
        f"delta/{name}/p_value": comparison.delta.p_value,
        f"delta/{name}/detectable": comparison.delta.detectable,
        f"delta/{name}/equivalent_within": comparison.delta.equivalent_within,
    }
    if comparison.score.chance is not None:
        values[f"{name}/chance"] = comparison.score.chance
    for kind in comparison.controls:
        drawn, control = comparison.drawn(kind), f"control/{kind.value}/{name}"
        values[control] = float(drawn.mean())
        values[f"{control}/low"] = float(drawn.min())
        values[f"{control}/high"] = float(drawn.max())
        values[f"{control}/rank"] = comparison.rank(kind)
        if (among := comparison.among.get(kind)) is not None:
            values |= {f"{control}/{field}": number for field, number in among_fields(among).items()}
    return values


def comparison_row(comparison: Comparison) -> dict[str, float | str | bool | None]:
    """Row of the table of scores."""
    row: dict[str, float | str | bool | None] = {
        "task": comparison.score.task,
        "metric": comparison.score.metric,
        "value": comparison.score.value,
        "baseline": comparison.baseline.value,
        "delta": comparison.delta.value,
        "ci_low": comparison.delta.ci_low,
        "ci_high": comparison.delta.ci_high,
        "p_value": comparison.delta.p_value,
        "detectable": comparison.delta.detectable,
        "equivalent_within": comparison.delta.equivalent_within,
        "n": comparison.score.n,
        "chance": comparison.score.chance,
        "higher_is_better": comparison.score.higher_is_better,
    }
    for kind in ControlKind:
        drawn, control = comparison.drawn(kind), f"control_{kind.value}"
        row[control] = float(drawn.mean()) if len(drawn) else None
        row[f"{control}_low"] = float(drawn.min()) if len(drawn) else None
        row[f"{control}_high"] = float(drawn.max()) if len(drawn) else None
        row[f"rank_{kind.value}"] = comparison.rank(kind) if len(drawn) else None
        among = comparison.among.get(kind)
        row[f"p_{kind.value}"] = None if among is None else among.p_value
        row[f"p_harm_{kind.value}"] = None if among is None else among.p_harm
        row[f"p_gain_{kind.value}"] = None if among is None else among.p_gain
        row[f"detectable_{kind.value}"] = None if among is None else among.detectable
        row[f"draws_{kind.value}"] = len(drawn) or None
    return row


def _figures(evaluation: Evaluation) -> Drawings:
    """Picture of the draws of controls, where there are any."""
    if not any(each.controls for each in evaluation.comparisons):
        return {}

    def draw() -> "Figure":
        from fbn_exp.report.figures.draws import draws_figure  # late: imports matplotlib

        return draws_figure(evaluation.comparisons, _title(evaluation))

    return {"controls": draw}


def _what_to_look_at(figures: Drawings) -> list[str]:
    """Say how to read the picture of controls, if there is one."""
    if "controls" not in figures:
        return []
    return [
        "In the picture, compare the line of the networks with the draws of each row: among them, other "
        "neurons do as much; beyond them, it is these neurons."
    ]


def _title(evaluation: Evaluation) -> str:
    networks = _networks(evaluation, ", ")
    size = evaluation.intervention.n_neurons(evaluation.target)
    return f"{evaluation.intervention.describe()}: networks {networks}, {size:,} neurons"


def _likeness(controls: Controls) -> dict[str, float]:
    """Similarity of the controls to the networks, averaged over the draws of each kind."""
    likeness = {}
    for kind, drawn in controls.items():
        likeness[f"control/{kind.value}/same_block"] = float(np.mean([each.same_block for each in drawn]))
        ratios = [each.activity_ratio for each in drawn]
        likeness[f"control/{kind.value}/activity_ratio"] = float(np.mean(ratios))
        energies = [each.energy_ratio for each in drawn if each.energy_ratio is not None]
        if energies:
            likeness[f"control/{kind.value}/energy_ratio"] = float(np.mean(energies))
    return likeness


def _networks(evaluation: Evaluation, separator: str) -> str:
    chosen = evaluation.intervention.networks
    return "all" if chosen == "all" else separator.join(map(str, evaluation.target.networks))


def _scores(evaluation: Evaluation, likeness: dict[str, float]) -> pd.DataFrame:
    """Table with a row per task and metric."""
    intervention = evaluation.intervention
    head = {
        "intervention": intervention.describe(),
        "factor": intervention.single_factor,
        "networks": _networks(evaluation, ","),
        "neurons": intervention.n_neurons(evaluation.target),
        "activity_ratio": likeness.get(f"control/{ControlKind.activation.value}/activity_ratio"),
    }
    rows = []
    for each in evaluation.comparisons:
        factor = evaluation.factors.get(each.score.name, intervention.single_factor)
        sizes = size_columns(evaluation.sizes.get(each.score.name))
        rows.append(head | {"factor": factor} | sizes | comparison_row(each))
    return pd.DataFrame(rows)


def _texts(comparisons: list[Comparison]) -> pd.DataFrame | None:
    """Table of generated texts: untouched, with the intervention, with one control of each kind."""
    for each in comparisons:
        if each.score.texts is not None:
            columns = {"untouched": each.baseline.texts, "intervened": each.score.texts}
            columns |= {f"{kind.value} control": scores[0].texts for kind, scores in each.controls.items()}
            return pd.DataFrame(columns)
    return None


def _rows(comparisons: list[Comparison]) -> pd.DataFrame:
    """Table on the console: p of the difference from the untouched model, and among each kind of draws."""
    kinds = [kind for kind in ControlKind if any(kind in each.among for each in comparisons)]
    return pd.DataFrame(
        {
            "task / metric": each.score.name,
            "baseline": f"{each.baseline.value:.4g}",
            "value": f"{each.score.value:.4g}",
            "difference": f"{each.delta.value:+.4g}",
            "95% interval": interval_text(each.delta),
            "p": p_text(each.delta.p_value),
            **{p_head(kind): among_text(each.among.get(kind)) for kind in kinds},
        }
        for each in comparisons
    )
