"""Present consistency as numbers, tables, a picture and sentences."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.consistency import Findings
from fbn_exp.analysis.recurrence.comparison import NullComparison
from fbn_exp.analysis.recurrence.matches import Matches
from fbn_exp.core.rows import Array
from fbn_exp.report.analyses.retest import retest_columns, retest_lines, retest_metrics
from fbn_exp.report.figures.consistency import consistency_figure
from fbn_exp.report.presentation import ROWS, SIGNIFICANT, Presentation, present
from fbn_exp.report.style import NULLS

# order of the nulls, from the weakest to the strongest
ORDER = ("masks", "shift", "degrees", "rotations")
# metrics that the picture of a sweep draws
COUNT_RATE, COUNT_RATE_CHANCE = "consistency/count_rate", "consistency/count_rate/chance"
NAMES = {
    "count": "count",
    "iou": "matched_iou",
    "correlation": "matched_r",
    "specificity": "specificity",
    "own_largest": "own_largest",
}
# measures that compare templates with one another
OF_SEVERAL = ("specificity", "own_largest")
# share of texts whose ICA converged, below which a remark says so
MOST_CONVERGED = 0.95
# tokens for each entry of the unmixing matrix, as is usual for EEG
ENOUGH_TOKENS = 20


@present.register
def present_consistency(findings: Findings) -> Presentation:
    """Present consistency."""
    table = _table(findings)
    return Presentation(
        metrics=_metrics(findings, table),
        tables={"consistency": table, "matches": _per_text(findings.matches)},
        figures={"consistency": lambda: consistency_figure(findings)},
        title=f"Templates of {findings.templates} in single texts of {findings.texts}",
        rows=_rows(table),
        lines=_lines(findings),
        remarks=_remarks(findings),
    )


def _measures(findings: Findings) -> dict[str, str]:
    """Measures and their names in tables; specificity needs templates beside a network's own."""
    known = {name: NAMES[name] for name in findings.matches.measures()}
    if len(findings.sizes) == 1:
        known = {name: known[name] for name in known if name not in OF_SEVERAL}
    return known


def _table(findings: Findings) -> pd.DataFrame:
    """Table with a row per template."""
    n_networks = len(findings.sizes)
    columns: dict[str, Array | NDArray[np.int64]] = {
        "network": np.arange(n_networks),
        "size": findings.sizes,
    }
    observed = findings.matches.measures()
    for measure, name in _measures(findings).items():
        columns[name] = observed[measure][:n_networks]
        for null, against in findings.nulls[measure].items():
            columns[f"{name}_chance_{null}"] = against.expected[:n_networks]
            columns[f"{name}_chance_{null}_95"] = against.upper[:n_networks]
            columns[f"{name}_p_value_{null}"] = against.p_value[:n_networks]
            columns[f"{name}_effect_{null}"] = against.effect[:n_networks]
            columns[f"{name}_ratio_{null}"] = against.ratio[:n_networks]
    columns["count_chance"] = findings.chance[:n_networks]
    columns["count_p_value"] = findings.p_value[:n_networks]
    if findings.halves is not None:
        columns |= retest_columns(findings.halves)
    return pd.DataFrame(columns)


def _metrics(findings: Findings, table: pd.DataFrame) -> dict[str, float]:
    totals, found = findings.totals, findings.matches
    metrics = {
        "consistency/texts": float(len(found.count)),
        "consistency/individual_networks": float(findings.individual),
        "consistency/individual_size": findings.individual_size,
        "consistency/tokens_per_square": findings.tokens_per_square,
        "consistency/recurring": found.recurring.sum(),
        "consistency/recurring/chance_shift": findings.shifted.recurring.sum(),
        "consistency/count_total/p_value": findings.p_value[-1],
        COUNT_RATE: totals[-1] / (findings.individual * len(findings.sizes)),
        COUNT_RATE_CHANCE: findings.chance[-1] / (findings.individual * len(findings.sizes)),
        "consistency/count_largest": totals[:-1].max(),
        "consistency/above_chance": float((findings.p_value[:-1] < SIGNIFICANT).sum()),
    }
    if findings.converged is not None:
        metrics["consistency/converged"] = findings.converged
    observed = found.measures()
    for measure, name in _measures(findings).items():
        name = "count_total" if measure == "count" else name
        metrics[f"consistency/{name}"] = observed[measure][-1]
        for null, against in findings.nulls[measure].items():
            metrics[f"consistency/{name}/chance_{null}"] = against.expected[-1]
            metrics[f"consistency/{name}/p_value_{null}"] = against.p_value[-1]
            metrics[f"consistency/{name}/effect_{null}"] = against.effect[-1]
            metrics[f"consistency/{name}/ratio_{null}"] = against.ratio[-1]
    if findings.halves is not None:
        metrics |= retest_metrics(findings.halves)
    for row in table[_tracked(table)].to_dict("records"):
        metrics |= {f"network/{row['network']}/{name}": float(row[name]) for name in row if name != "network"}
    return {name: float(value) for name, value in metrics.items()}


def _tracked(table: pd.DataFrame) -> list[str]:
    """Columns that are metrics of each network; the other columns are in the table alone."""
    return [
        str(name)
        for name in table
        if name != "size" and not str(name).endswith("_95") and "_ratio_" not in str(name)
    ]


def _per_text(matches: Matches) -> pd.DataFrame:
    """Table with a row per text and template."""
    n_texts, n_networks = matches.count.shape
    text, network = np.indices((n_texts, n_networks))
    return pd.DataFrame(
        {
            "text": text.ravel(),
            "network": network.ravel(),
            "count": matches.count.ravel(),
            "matched_iou": matches.iou.ravel(),
            "specificity": matches.specificity.ravel(),
            "own_largest": matches.own_largest.ravel(),
            **({} if matches.correlation is None else {"matched_r": matches.correlation.ravel()}),
        }
    )


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.head(ROWS)
    rows = {
        "network": shown["network"].astype(str),
        "neurons": [f"{size:,}" for size in shown["size"]],
        "count": [f"{count:.0f}" for count in shown["count"]],
        **{NULLS[null]: _chance(shown, null) for null in ORDER},
        "p": [f"{p:.2g}" for p in shown["count_p_value"]],
        "matched IoU": [f"{value:.3f}" for value in shown["matched_iou"]],
    }
    if "specificity" in shown:
        rows["own − other"] = [f"{value:+.3f}" for value in shown["specificity"]]
    if "icc" in shown:
        rows["ICC (95%)"] = [
            f"{value:.2f} ({low:.2f} … {high:.2f})"
            for value, low, high in zip(shown["icc"], shown["icc_ci_low"], shown["icc_ci_high"], strict=True)
        ]
    return pd.DataFrame(rows)


def _chance(table: pd.DataFrame, null: str) -> list[str]:
    """Format the expected count and the 95th percentile."""
    pairs = zip(table[f"count_chance_{null}"], table[f"count_chance_{null}_95"], strict=True)
    return [f"{mean:.1f} (≤ {upper:.0f})" for mean, upper in pairs]


def _lines(findings: Findings) -> list[str]:
    totals, n_networks, found = findings.totals, len(findings.sizes), findings.matches
    above = int((findings.p_value[:-1] < SIGNIFICANT).sum())
    nulls = findings.nulls["count"]
    ended = "" if findings.converged is None else f"; ICA converged in {findings.converged:.0%} of the texts"
    lines = [
        f"{len(found.count)} texts, {findings.individual:,} individual networks (median "
        f"{findings.individual_size:,.0f} neurons{ended}): {totals[-1]:,.0f} matches with IoU > "
        f"{findings.minimum_iou:g} to the {n_networks} templates, of {found.recurring.sum():,.0f} networks.",
        "By chance, and how far above it in standard deviations: "
        + "; ".join(_against(nulls[null], NULLS[null]) for null in ORDER)
        + ".",
        f"{above} of {n_networks} templates recur more often than under every null (p < {SIGNIFICANT}, not "
        "corrected for the number of templates).",
    ]
    if n_networks > 1:
        lines.append(_specificity(findings))
    if findings.halves is not None:
        lines += retest_lines(findings.halves)
    return lines


def _against(null: NullComparison, name: str) -> str:
    """Describe the last entry of a comparison."""
    # where almost nothing matches by chance, its deviation is no measure
    measurable = null.expected[-1] >= 1 and not np.isnan(null.effect[-1])
    effect = f", {null.effect[-1]:+.1f} SD" if measurable else ""
    return f"{null.expected[-1]:,.1f} of {name} (p = {null.p_value[-1]:.2g}{effect})"


def _specificity(findings: Findings) -> str:
    measures = findings.matches.measures()
    own, first = (findings.nulls[name] for name in OF_SEVERAL)
    chance = ", ".join(
        f"{own[null].expected[-1]:+.3f} and {first[null].expected[-1]:.0%} of {NULLS[null]} "
        f"(p = {own[null].p_value[-1]:.2g})"
        for null in ORDER
    )
    return (
        "A matched network overlaps more with its own template than with the others by "
        f"{measures['specificity'][-1]:+.3f} IoU on average, and most with its own in "
        f"{measures['own_largest'][-1]:.0%}; matched in the same way: {chance}."
    )


def _remarks(findings: Findings) -> list[str]:
    remarks = []
    n_texts = len(findings.matches.count)
    if findings.asked is not None and n_texts < findings.asked:
        remarks.append(
            f"Only {n_texts} of the {findings.asked} texts asked for are in {findings.texts}: compare rates "
            f"({COUNT_RATE}), not counts, with other corpora."
        )
    empty = int((findings.sizes == 0).sum())
    if empty:
        remarks.append(f"{empty} templates have no neuron at this threshold, and cannot be matched.")
    if findings.converged is not None and findings.converged < MOST_CONVERGED:
        remarks.append(
            f"ICA converged in {findings.converged:.0%} of the texts only: the other networks are where it "
            "stopped. Raise method.max_iterations, or take method.solver=picard if it is fastica."
        )
    if findings.tokens_per_square < ENOUGH_TOKENS:
        remarks.append(
            f"A text has {findings.tokens:,.0f} tokens for {findings.n_components} networks, "
            f"{findings.tokens_per_square:.1f} K², and ICA wants {ENOUGH_TOKENS} K²: with fewer it finds "
            "spikes and bumps of the sample (Särelä & Vigário 2003). Take longer texts "
            "(analysis.dataset.tokens_per_text) or a smaller analysis.n_components."
        )
    if findings.halves is None:
        remarks.append("Texts are too short or too few to be halved: no test-retest numbers.")
    return remarks
