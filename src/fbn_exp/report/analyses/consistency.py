"""Present consistency as numbers, tables, a picture and sentences."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbn_exp.analysis.consistency import Findings
from fbn_exp.analysis.recurrence import Matches, with_mean
from fbn_exp.core.rows import Array
from fbn_exp.report.analyses.retest import retest_columns, retest_lines, retest_metrics
from fbn_exp.report.figures.consistency import consistency_figure
from fbn_exp.report.presentation import ROWS, SIGNIFICANT, Presentation, present


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


def _table(findings: Findings) -> pd.DataFrame:
    """Table with a row per template."""
    n_networks = len(findings.sizes)
    observed = {
        "count": (findings.totals, findings.count),
        "matched_iou": (with_mean(findings.matches.iou.mean(axis=0)), findings.iou),
        "matched_r": (
            with_mean(findings.matches.correlation.mean(axis=0)),
            {"shift": findings.correlation},
        ),
    }
    columns: dict[str, Array | NDArray[np.int64]] = {
        "network": np.arange(n_networks),
        "size": findings.sizes,
    }
    for name, (values, nulls) in observed.items():
        columns[name] = values[:n_networks]
        for null, against in nulls.items():
            columns[f"{name}_chance_{null}"] = against.expected[:n_networks]
            columns[f"{name}_chance_{null}_95"] = against.upper[:n_networks]
            columns[f"{name}_p_value_{null}"] = against.p_value[:n_networks]
    columns["count_chance"] = findings.chance[:n_networks]
    columns["count_p_value"] = findings.p_value[:n_networks]
    if findings.halves is not None:
        columns |= retest_columns(findings.halves)
    return pd.DataFrame(columns)


def _metrics(findings: Findings, table: pd.DataFrame) -> dict[str, float]:
    totals, matches = findings.totals, findings.matches
    metrics = {
        "consistency/texts": float(len(matches.count)),
        "consistency/individual_networks": float(findings.individual),
        "consistency/individual_size": findings.individual_size,
        "consistency/recurring": matches.recurring.sum(),
        "consistency/recurring/chance_shift": findings.shifted.recurring.sum(),
        "consistency/count_total": totals[-1],
        "consistency/count_total/p_value": findings.p_value[-1],
        "consistency/count_rate": totals[-1] / (findings.individual * len(findings.sizes)),
        "consistency/count_rate/chance": findings.chance[-1] / (findings.individual * len(findings.sizes)),
        "consistency/count_largest": totals[:-1].max(),
        "consistency/above_chance": float((findings.p_value[:-1] < SIGNIFICANT).sum()),
        "consistency/matched_iou": matches.iou.mean(),
        "consistency/matched_r": matches.correlation.mean(),
        "consistency/matched_r/chance_shift": findings.correlation.expected[-1],
        "consistency/matched_r/p_value_shift": findings.correlation.p_value[-1],
    }
    for null in findings.count:
        metrics[f"consistency/count_total/chance_{null}"] = findings.count[null].expected[-1]
        metrics[f"consistency/count_total/p_value_{null}"] = findings.count[null].p_value[-1]
        metrics[f"consistency/matched_iou/chance_{null}"] = findings.iou[null].expected[-1]
        metrics[f"consistency/matched_iou/p_value_{null}"] = findings.iou[null].p_value[-1]
    if findings.halves is not None:
        metrics |= retest_metrics(findings.halves)
    kept = [name for name in table if name not in ("network", "size") and not str(name).endswith("_95")]
    for row in table.to_dict("records"):
        metrics |= {f"network/{row['network']}/{name}": float(row[name]) for name in kept}
    return {name: float(value) for name, value in metrics.items()}


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
            "matched_r": matches.correlation.ravel(),
        }
    )


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.head(ROWS)
    rows = {
        "network": shown["network"].astype(str),
        "neurons": [f"{size:,}" for size in shown["size"]],
        "count": [f"{count:.0f}" for count in shown["count"]],
        "chance: masks": _chance(shown, "masks"),
        "chance: shifted": _chance(shown, "shift"),
        "p": [f"{p:.2g}" for p in shown["count_p_value"]],
        "matched IoU": [f"{value:.3f}" for value in shown["matched_iou"]],
        "masks, shifted": [
            f"{masks:.3f}, {shift:.3f}"
            for masks, shift in zip(
                shown["matched_iou_chance_masks"], shown["matched_iou_chance_shift"], strict=True
            )
        ],
        "|r| (shifted)": [
            f"{value:.2f} ({shift:.2f})"
            for value, shift in zip(shown["matched_r"], shown["matched_r_chance_shift"], strict=True)
        ],
    }
    if "icc" in shown:
        rows["ICC(3,1), 95%"] = [
            f"{value:.2f} ({low:.2f} … {high:.2f})"
            for value, low, high in zip(shown["icc"], shown["icc_ci_low"], shown["icc_ci_high"], strict=True)
        ]
    return pd.DataFrame(rows)


def _chance(table: pd.DataFrame, null: str) -> list[str]:
    """Format the expected count and the 95th percentile."""
    pairs = zip(table[f"count_chance_{null}"], table[f"count_chance_{null}_95"], strict=True)
    return [f"{mean:.1f} (≤ {upper:.0f})" for mean, upper in pairs]


def _lines(findings: Findings) -> list[str]:
    totals, n_networks = findings.totals, len(findings.sizes)
    masks, shift = findings.count["masks"], findings.count["shift"]
    above = int((findings.p_value[:-1] < SIGNIFICANT).sum())
    lines = [
        f"{len(findings.matches.count)} texts, {findings.individual:,} individual networks (median "
        f"{findings.individual_size:,.0f} neurons): {totals[-1]:,.0f} matches with IoU > "
        f"{findings.minimum_iou:g} to the {n_networks} templates, of {findings.matches.recurring.sum():,.0f} "
        f"networks; {masks.expected[-1]:,.1f} expected of random masks of the "
        f"same size in each block, {shift.expected[-1]:,.1f} of shifted signals (p = {masks.p_value[-1]:.2g} "
        f"and {shift.p_value[-1]:.2g}).",
        f"{above} of {n_networks} templates recur more often than under both nulls (p < {SIGNIFICANT}, not "
        "corrected for the number of templates).",
    ]
    if findings.halves is not None:
        lines += retest_lines(findings.halves)
    return lines


def _remarks(findings: Findings) -> list[str]:
    remarks = []
    n_texts = len(findings.matches.count)
    if findings.asked is not None and n_texts < findings.asked:
        remarks.append(
            f"Only {n_texts} of the {findings.asked} texts asked for are in {findings.texts}: compare rates "
            "(consistency/count_rate), not counts, with other corpora."
        )
    empty = int((findings.sizes == 0).sum())
    if empty:
        remarks.append(f"{empty} templates have no neuron at this threshold, and cannot be matched.")
    if findings.halves is None:
        remarks.append("Texts are too short or too few to be halved: no test-retest numbers.")
    return remarks
