"""Present the reliability of networks as numbers, tables, pictures and sentences."""

import math
from collections.abc import Mapping

import pandas as pd

from fbn_exp.reliability.base import ReliabilityReport
from fbn_exp.report.figures.reliability import reliability_figures
from fbn_exp.report.presentation import Presentation

# column of the table of networks -> its short title
COLUMNS = {
    "iq": "Iq",
    "p_phase": "p (phase)",
    "p_shift": "p (shift)",
    "split_half": "split-half",
    "p_split_half": "p (halves)",
    "effect_size": "held-out d",
}


def present_reliability(report: ReliabilityReport) -> Presentation:
    """Present a reliability report, to be shown with the networks; it has no table on the console."""
    statistics = {name: values.numpy() for name, values in report.statistics.items()}
    table = pd.DataFrame({"network": range(len(statistics["iq"])), **statistics})
    metrics = {f"reliability/{name}": value for name, value in report.metrics.items()}
    for row in table.to_dict("records"):
        metrics |= {f"network/{row['network']}/{name}": float(row[name]) for name in statistics}
    for point in report.orders:
        order = f"reliability/order/{point['n_components']:.0f}"
        metrics |= {
            f"{order}/{name}": value
            for name, value in point.items()
            if name != "n_components" and math.isfinite(value)
        }
    tables = {"reliability": table}
    if report.orders:
        tables["model_order"] = pd.DataFrame(report.orders)
    return Presentation(
        metrics=metrics,
        tables=tables,
        figures=reliability_figures(report),
        lines=_lines(report),
    )


def _lines(report: ReliabilityReport) -> list[str]:
    """Summarise reliability in sentences."""
    metrics, runs = report.metrics, report.metrics["runs"]
    line = f"Reliability over {runs:.0f} runs, clusters of {report.clustered}: "
    line += f"Iq {metrics['iq_median']:.2f} (median)"
    if "iq_texts_median" in metrics:
        line += (
            f", {metrics['iq_starts_median']:.2f} over starts, "
            f"{metrics['iq_texts_median']:.2f} over resampled texts"
        )
    n_networks = len(report.statistics["iq"])
    lines = [line + ".", *_optima(metrics)]
    if "split_half_median" in metrics:
        lines.append(
            f"Halves of the texts: |r| {metrics['split_half_median']:.2f} of maps (median; rotations of the "
            f"same subspaces {metrics['split_half_null_median']:.2f}), p ≤ .05 for "
            f"{metrics['networks_p_split_half_to_05']:.0f} of {n_networks} networks."
        )
    for null in report.nulls:
        lines.append(
            f"Beyond {len(null.reproducibility)} surrogates ({null.description}): "
            f"{metrics[f'networks_p_{null.name}_to_05']:.0f} of {n_networks} networks with p ≤ .05."
        )
    if merged := metrics["networks_merged"]:
        lines.append(
            f"{merged:.0f} of the networks are two or more of each run, with nearly the same "
            f"{report.clustered}."
        )
    if rare := metrics["networks_rare"]:
        lines.append(f"{rare:.0f} of the networks were found in half of the runs or less.")
    if stopped := metrics["runs_not_converged"]:
        lines.append(f"{stopped:.0f} of {runs:.0f} runs did not converge; they are counted like the others.")
    return lines


def _optima(metrics: Mapping[str, float]) -> list[str]:
    """Say how many starts a run takes, and how often the best optimum of all texts came back."""
    if "optima" not in metrics:
        return []
    runs, best, optima = (metrics[name] for name in ("runs_on_all_texts", "runs_at_best", "optima"))
    others = "no other optimum" if optima == 1 else f"{optima:.0f} optima in all"
    return [
        f"Each run takes one start. Of {runs:.0f} that converged on all texts, {best:.0f} reached the best "
        f"optimum; {others}."
    ]
