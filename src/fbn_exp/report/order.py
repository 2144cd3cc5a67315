"""Present the number of networks that a criterion chose: numbers, a table, a picture and sentences."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fbn_exp.methods.config import Criterion
from fbn_exp.methods.order import OrderCurve
from fbn_exp.report.figures.order import order_curves_figure
from fbn_exp.report.presentation import Presentation

NAMES = {Criterion.mdl: "description length", Criterion.laplace: "Laplace evidence"}


def present_order_curves(curves: Sequence[OrderCurve]) -> Presentation:
    """Present the curve of the whole model, or those of all blocks; empty without curves."""
    if not curves:
        return Presentation()
    best = np.array([curve.best for curve in curves])
    table = pd.concat(
        [
            pd.DataFrame(
                {"curve": index, "n_components": range(len(curve.values)), "log_evidence": curve.values}
            )
            for index, curve in enumerate(curves)
        ],
        ignore_index=True,
    )
    name = NAMES[curves[0].criterion]
    if len(curves) == 1:
        line = f"By {name}, {best[0]} networks of at most {len(curves[0].values) - 1}."
    else:
        line = f"By {name}, {best.min()} to {best.max()} networks in a block."
    return Presentation(
        metrics={"order/networks": float(best.mean()), "order/bounded": float(_bounded(curves))},
        tables={"order_curve": table},
        figures={"order_curve": lambda: order_curves_figure(curves, name)},
        lines=[line],
        remarks=_remarks(curves, name),
    )


def _bounded(curves: Sequence[OrderCurve]) -> int:
    return sum(curve.bounded for curve in curves)


def _remarks(curves: Sequence[OrderCurve], name: str) -> list[str]:
    if not (bounded := _bounded(curves)):
        return []
    largest = max(len(curve.values) - 1 for curve in curves)
    where = "" if len(curves) == 1 else f" in {bounded} of {len(curves)} blocks"
    return [
        f"method.n_components=auto ends at its bound of {largest} networks{where}: {name} may prefer more, "
        "as the rest of the signals is no white noise. Raise method.largest_order, or choose a number by "
        "evaluate.py analysis=order, which shows how well networks reproduce."
    ]
