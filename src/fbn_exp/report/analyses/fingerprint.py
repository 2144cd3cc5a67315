"""Present the likeness of two models' networks as numbers, tables, a picture and sentences."""

import numpy as np
import pandas as pd

from fbn_exp.analysis.fingerprint.analysis import FingerprintFindings, Likeness
from fbn_exp.analysis.fingerprint.scores import FingerprintNull
from fbn_exp.networks.matching import partners
from fbn_exp.report.analyses.fingerprint_figure import fingerprint_figure
from fbn_exp.report.presentation import ROWS, Presentation, present

# correlation above which P3 counts a pair of networks
PUBLISHED = 0.5
NULL_WORDS = {
    FingerprintNull.texts: "other texts",
    FingerprintNull.shifts: "shifts within texts",
    FingerprintNull.neurons: "random neurons, as many in every block",
    FingerprintNull.rotations: "rotations of its networks",
}


@present.register
def present_fingerprint(findings: FingerprintFindings) -> Presentation:
    """Present a fingerprint."""
    table = _matches(findings.other)
    return Presentation(
        metrics=_metrics(findings, table),
        tables={
            "fingerprint": table,
            "fingerprint_pairs": _pairs(findings.other),
            "fingerprint_scores": _scores(findings),
            "fingerprint_samples": _samples(findings),
        },
        figures={"fingerprint": lambda: fingerprint_figure(findings, NULL_WORDS)},
        title=f"Networks of {findings.model} and their partners in {findings.other.model}",
        rows=_rows(table),
        lines=_sentences(findings),
        remarks=_remarks(findings),
    )


def _matches(other: Likeness) -> pd.DataFrame:
    """Table with a row per network of the first model."""
    partner = partners(np.abs(other.correlations))
    rho = np.take_along_axis(other.correlations, np.maximum(partner, 0)[:, None], axis=1)[:, 0]
    return pd.DataFrame(
        {"network": np.arange(len(partner)), "partner": partner, "rho": np.where(partner >= 0, rho, np.nan)}
    )


def _pairs(other: Likeness) -> pd.DataFrame:
    network, partner = np.indices(other.correlations.shape)
    return pd.DataFrame(
        {"network": network.ravel(), "other": partner.ravel(), "rho": other.correlations.ravel()}
    )


def _scores(findings: FingerprintFindings) -> pd.DataFrame:
    """Table of all scores: the other model, nulls, and references."""
    other = findings.other
    low, high = other.interval
    rows = [{"compared": other.model, "kind": "other", "score": other.score, "ci_low": low, "ci_high": high}]
    for null in findings.nulls:
        rows.append(
            {
                "compared": NULL_WORDS[null.kind],
                "kind": null.kind.value,
                "score": float(null.scores.mean()),
                "chance_95": float(np.quantile(null.scores, 0.95)),
                "p_value": null.p_value,
            }
        )
    for reference in findings.references:
        low, high = reference.interval
        margin, margin_low, margin_high = findings.margin(reference)
        rows.append(
            {
                "compared": reference.model,
                "kind": "reference",
                "score": reference.score,
                "ci_low": low,
                "ci_high": high,
                "margin": margin,
                "margin_ci_low": margin_low,
                "margin_ci_high": margin_high,
            }
        )
    return pd.DataFrame(rows)


def _samples(findings: FingerprintFindings) -> pd.DataFrame:
    """Table of the scores of disjoint samples of texts."""
    return pd.DataFrame(
        [
            {"compared": each.model, "kind": kind, "sample": sample, "score": score}
            for kind, likenesses in (("other", [findings.other]), ("reference", findings.references))
            for each in likenesses
            for sample, score in enumerate(each.samples.tolist())
        ],
        columns=["compared", "kind", "sample", "score"],
    )


def _metrics(findings: FingerprintFindings, table: pd.DataFrame) -> dict[str, float]:
    other = findings.other
    low, high = other.interval
    metrics = {
        "fingerprint/score": other.score,
        "fingerprint/score/ci_low": low,
        "fingerprint/score/ci_high": high,
        "fingerprint/same_origin_shown": float(findings.shown),
        "fingerprint/pairs_above_half": float((other.correlations > PUBLISHED).sum()),
        "fingerprint/texts": float(findings.n_texts),
        "fingerprint/shared_tokens": other.shared_tokens,
    }
    for null in findings.nulls:
        metrics[f"fingerprint/null_{null.kind.value}"] = float(null.scores.mean())
        metrics[f"fingerprint/null_{null.kind.value}/p_value"] = null.p_value
    for index, reference in enumerate(findings.references):
        margin, margin_low, margin_high = findings.margin(reference)
        metrics[f"fingerprint/reference_{index}"] = reference.score
        metrics[f"fingerprint/reference_{index}/margin"] = margin
        metrics[f"fingerprint/reference_{index}/margin_ci_low"] = margin_low
        metrics[f"fingerprint/reference_{index}/margin_ci_high"] = margin_high
    return metrics | {f"network/{row['network']}/rho": float(row["rho"]) for row in table.to_dict("records")}


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.head(ROWS)
    return pd.DataFrame(
        {
            "network": shown["network"].astype(str),
            "partner": ["–" if partner < 0 else str(partner) for partner in shown["partner"]],
            "Spearman ρ": ["–" if np.isnan(rho) else f"{rho:+.2f}" for rho in shown["rho"]],
        }
    )


def _sentences(findings: FingerprintFindings) -> list[str]:
    other = findings.other
    low, high = other.interval
    verdict = "same origin is shown" if findings.shown else "same origin is not shown"
    nulls = "; ".join(
        f"{null.scores.mean():.2f} with {NULL_WORDS[null.kind]} (p = {null.p_value:.2g})"
        for null in findings.nulls
    )
    above = int((other.correlations > PUBLISHED).sum())
    lines = [
        f"{findings.model} and {other.model}: {verdict}. Matched one to one, time courses correlate with "
        f"|ρ| = {other.score:.2f} (95% interval over {findings.n_texts} texts {low:.2f} … {high:.2f}).",
        f"It would be {nulls}.",
        f"{above} of {other.correlations.size} pairs are above {PUBLISHED}, which P3 counts.",
    ]
    for reference in findings.references:
        margin, margin_low, margin_high = findings.margin(reference)
        lines.append(
            f"{reference.model}, of another origin: |ρ| = {reference.score:.2f}, which is {margin:.2f} less "
            f"({margin_low:.2f} … {margin_high:.2f})."
        )
    return lines


def _remarks(findings: FingerprintFindings) -> list[str]:
    remarks = []
    if not findings.references:
        remarks.append(
            "Models that share nothing but the texts are alike, too: without networks of models of another "
            "origin, analysis.references=[FOLDER], same origin cannot be shown."
        )
    if findings.other.shared_tokens < 1:
        remarks.append(
            f"{findings.other.shared_tokens:.0%} of the tokens of {findings.model} end where a token of "
            f"{findings.other.model} does; the others are left out."
        )
    return remarks
