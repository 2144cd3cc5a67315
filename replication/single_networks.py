"""Judge lesions of single networks, beside the nearest neurons and single networks of rotations."""

import numpy as np
import pandas as pd
from beside import by_number, energy_in_words, p_of_count, seeing, verdict_beside
from scipy.stats import mannwhitneyu, norm

from fbn_exp.benchmarks.inference.exact import POWER
from fbn_exp.benchmarks.inference.families import holm
from fbn_exp.experiments.paper.rules import (
    Finding,
    against_untouched,
    not_reproduced,
    one_metric_per_task,
    place,
    verdict,
)
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT


def single(table: pd.DataFrame, where: str) -> list[Finding]:
    """Judge lesions of single networks: harm, harm beyond the nearest neurons, and beyond rotations."""
    rows = one_metric_per_task(table)
    on, n, first = place(where, rows), len(rows), rows.iloc[0]
    harmful = rows["harms"] & (holm(rows["p_value"].to_numpy()) < SIGNIFICANT)
    near = rows["harms"] & (rows["p_worse_activation"] <= SIGNIFICANT)
    said_near = verdict_beside(near, on, seeing(rows, rows["detectable_activation"]))
    energy = energy_in_words(rows, [ControlKind.activation])
    p_turned, seen = _beyond_same_draws(rows)
    numbers = ", ".join(
        f"{row.networks}: {row.neurons} neurons → {row.value:.3g}" for row in rows.itertuples()
    )
    return [
        Finding(
            "Single networks of few neurons impair the model.",
            f"harm (95% interval), p < .05 after Holm over the {n}, of each",
            verdict(int(harmful.sum()), n, on, against_untouched(rows)),
            f"untouched {rows['untouched'].iloc[0]:.3g}; {numbers}",
        ),
        Finding(
            "Single networks impair the model more than the neurons nearest in activity do.",
            f"worse than {int(rows['draws'].min())} draws of them, p ≤ .05, on each; more often than by "
            "chance (binomial p < .05)",
            by_number(said_near, energy, "nearest"),
            f"{near.sum()} of {n} (binomial p = {p_of_count(int(near.sum()), n):.2g}); the nearest remove "
            f"{energy or 'unknown energy'}",
        ),
        Finding(
            "Single networks impair the model more than single networks of rotations do.",
            f"the {n} networks harm more than {int(rows['draws'].min())} networks of rotations (Mann-Whitney "
            "test, one-sided p ≤ .05)",
            "reproduced" if p_turned <= SIGNIFICANT else not_reproduced(on, [seen]),
            f"p = {p_turned:.2g}; rotations {first.control_rotation:.3g} ({first.control_rotation_low:.3g} … "
            f"{first.control_rotation_high:.3g}), which remove "
            f"{energy_in_words(rows, [ControlKind.rotation]) or 'unknown energy'}",
        ),
    ]


def _beyond_same_draws(rows: pd.DataFrame) -> tuple[float, float]:
    """One-sided p that networks harm no more than draws that all have in common, and what could be seen.

    A network's p, (1 + b) / (1 + R), says how many draws harm as much; the sum of b is the statistic.
    """
    draws = int(rows["draws"].min())
    above = np.round(rows["p_worse_rotation"].to_numpy(float) * (1 + draws) - 1)
    # harm by rank alone: draws at 1 … R, a network between those that harm less and those that do more
    found = mannwhitneyu(draws - above + 0.5, np.arange(1, draws + 1), alternative="greater", method="exact")
    spread = float(rows["value"].std())
    sizes = norm.isf(SIGNIFICANT) + norm.ppf(POWER)
    return float(found.pvalue), float(sizes * spread * np.sqrt(1 / len(rows) + 1 / draws))
