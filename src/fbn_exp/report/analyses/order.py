"""Present reproducibility and prediction over the number of networks as numbers, pictures and words."""

import numpy as np
import pandas as pd

from fbn_exp.analysis.order import ALPHA, OrderFindings, OrderPoint
from fbn_exp.report.figures.order import order_figure
from fbn_exp.report.presentation import Presentation, present


@present.register
def present_order(findings: OrderFindings) -> Presentation:
    """Present the number of networks."""
    table = pd.DataFrame([_row(point) for point in findings.points])
    metrics = {
        f"order/{row['n_components']:.0f}/{name}": float(value)
        for row in table.to_dict("records")
        for name, value in row.items()
        if name != "n_components"
    }
    metrics |= {f"order/{order}/p_corrected": p for order, p in findings.corrected.items()}
    return Presentation(
        metrics={"order/best": float(findings.best), **metrics},
        tables={"order": table},
        figures={"order": lambda: order_figure(findings)},
        title=f"Halves of {findings.n_texts} texts of {findings.texts}",
        rows=_rows(table),
        lines=[_sentence(findings, table)],
        remarks=_remarks(findings),
    )


def _row(point: OrderPoint) -> dict[str, float]:
    low, middle, high = np.quantile(point.correlation, [0.25, 0.5, 0.75])
    return {
        "n_components": point.n_components,
        "split_half": middle,
        "split_half_lower_quartile": low,
        "split_half_upper_quartile": high,
        "split_half_chance": float(np.median(point.chance)),
        "p": point.p_value,
        "mask_iou": float(np.median(point.overlap)),
        "prediction_error": float(point.error.mean()),
        "prediction_error_smallest": float(point.error.min()),
        "prediction_error_largest": float(point.error.max()),
        "converged": point.converged,
    }


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "networks": [f"{count:.0f}" for count in table["n_components"]],
            "|r| of halves": [f"{value:.2f}" for value in table["split_half"]],
            "random rotations": [f"{value:.2f}" for value in table["split_half_chance"]],
            "p": [f"{value:.3f}" for value in table["p"]],
            "IoU of masks": [f"{value:.2f}" for value in table["mask_iou"]],
            "prediction error": [f"{value:.1%}" for value in table["prediction_error"]],
        }
    )


def _sentence(findings: OrderFindings, table: pd.DataFrame) -> str:
    if findings.best == 0:
        return (
            "At no number of networks do those of the two halves agree better than random rotations of the "
            f"same subspaces do (p > {ALPHA} after correction for {len(table)} numbers): nothing here says "
            "that there are networks."
        )
    row = table.loc[table["n_components"] == findings.best].iloc[0]
    return (
        f"{findings.best} networks are nearest to perfect reproducibility and prediction: |r| "
        f"{row['split_half']:.2f} between halves ({row['split_half_chance']:.2f} by random rotations of the "
        f"same subspaces, p = {findings.corrected[findings.best]:.3f} after correction), "
        f"{row['prediction_error']:.1%} of the variance held out missed."
    )


def _remarks(findings: OrderFindings) -> list[str]:
    said = []
    if findings.best in (findings.points[0].n_components, findings.points[-1].n_components):
        said.append(
            f"{findings.best} is at the end of the numbers that were tried: widen analysis.orders before "
            "taking it for the best."
        )
    stopped = [str(point.n_components) for point in findings.points if point.converged < 1]
    if stopped:
        said.append(
            f"Not all fits of {', '.join(stopped)} networks converged: raise method.max_iterations, or take "
            "method.solver=picard if it is fastica."
        )
    said += [f"{order} networks were left out: {reason}" for order, reason in findings.refused.items()]
    return said
