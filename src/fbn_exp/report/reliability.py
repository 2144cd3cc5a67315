"""What a run with reliability leaves beside its networks: numbers, tables, pictures, a line."""

import math

import pandas as pd

from fbn_exp.core.run_folder import RunFolder
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.reliability.base import ReliabilityReport
from fbn_exp.report.figures.reliability import draw_reliability


def describe_reliability(
    report: ReliabilityReport, networks: FunctionalNetworks, folder: RunFolder, dpi: int
) -> None:
    """Write what runs say about networks into the run folder."""
    columns = {name: values.numpy() for name, values in report.statistics.items()}
    table = pd.DataFrame({"network": range(len(networks)), **columns})
    folder.add_table("reliability", table)
    folder.add_metrics(report.metrics, prefix="reliability/")
    for index in range(len(networks)):
        of_network = {name: float(values[index]) for name, values in report.statistics.items()}
        folder.add_metrics(of_network, prefix=f"network/{index}/")
    if report.orders:
        folder.add_table("model_order", pd.DataFrame(report.orders))
    for point in report.orders:
        values = {name: value for name, value in point.items() if math.isfinite(value)}
        order = int(values.pop("n_components"))
        folder.add_metrics(values, prefix=f"reliability/order/{order}/")
    pictures = draw_reliability(report, folder.path / "figures", dpi)
    folder.artifacts.update({f"figures/{name}": file for name, file in pictures.items()})
    folder.write()


def reliability_lines(metrics: dict[str, float]) -> list[str]:
    """What a reader must know about reliability, in sentences; none without it."""
    if "reliability/runs" not in metrics:
        return []
    runs = metrics["reliability/runs"]
    line = f"Reliability over {runs:.0f} runs: Iq {metrics['reliability/iq_median']:.2f} (median)"
    if "reliability/iq_texts_median" in metrics:
        line += (
            f", {metrics['reliability/iq_starts_median']:.2f} over starts, "
            f"{metrics['reliability/iq_texts_median']:.2f} over resampled texts"
        )
    if "reliability/split_half_median" in metrics:
        line += f"; |r| {metrics['reliability/split_half_median']:.2f} between halves of the texts"
    if "reliability/networks_p_below_05" in metrics:
        below = metrics["reliability/networks_p_below_05"]
        line += f"; {below:.0f} of {metrics['networks']:.0f} networks with p < .05"
    lines = [line + "."]
    if merged := metrics["reliability/networks_merged"]:
        lines.append(f"{merged:.0f} of the networks are two or more of each run, with nearly the same map.")
    if rare := metrics["reliability/networks_rare"]:
        lines.append(f"{rare:.0f} of the networks were found in half of the runs or less.")
    if stopped := metrics["reliability/runs_not_converged"]:
        lines.append(f"{stopped:.0f} of {runs:.0f} runs did not converge; they are counted like the others.")
    return lines
