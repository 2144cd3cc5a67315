"""Judge amplification: gains at factors chosen on dev items, beside other neurons and rotations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from beside import by_number, energy_in_words, rotations_in_words
from claims import NEURONS

from fbn_exp.benchmarks.inference.families import holm
from fbn_exp.experiments.paper.rules import (
    Finding,
    against_untouched,
    not_reproduced,
    one_metric_per_task,
    place,
    sign,
    task_in_words,
)
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT


def amplification(table: pd.DataFrame, where: str, what: str = "") -> list[Finding]:
    """Judge amplification by factors above 1, chosen on dev items."""
    rows = one_metric_per_task(table)
    rows = rows.assign(corrected=holm(rows["p_value"].to_numpy()))
    together = rows[rows["networks"] == "all"]
    gain = sign(together) * (together["value"] - together["untouched"])
    half = np.sqrt((((together["high"] - together["low"]) / 2) ** 2).sum()) / len(together)
    mean = float(gain.mean())
    # 1.96 standard errors to exclude 0, and .84 more for a power of 80%
    seen = half * 2.80 / 1.96 if half > 0 else float("nan")
    beyond = [_beyond_others(rows, what, where)]
    if "p_better_rotation" in rows:
        beyond.append(_beyond_turned(rows, what, where))
    return [
        Finding(
            f"Amplifying all networks enhances performance{what}.",
            "the mean gain over tasks, at factors chosen on dev items, is above 0 with its 95% interval "
            "(from those of the tasks)",
            "reproduced" if mean > half else not_reproduced(place(where, together), [seen]),
            f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f}); {_said(together)}",
        ),
        *beyond,
    ]


def _said(some: pd.DataFrame) -> str:
    return ", ".join(
        f"{task_in_words(row.task)} with networks {row.networks}: {row.untouched:.3g}, no factor above 1 was "
        "chosen on dev items"
        if row.factor == 1
        else f"{task_in_words(row.task)} with networks {row.networks} × {row.factor:g}: "
        f"{row.untouched:.3g} → {row.value:.3g} ({row.low:.3g} … {row.high:.3g}; p = {row.p_value:.2g}, "
        f"corrected {row.corrected:.2g})"
        for row in some.itertuples()
    )


def _beyond_others(rows: pd.DataFrame, what: str, where: str) -> Finding:
    """Judge that gains are beyond those of other neurons, each at the factor that was chosen for it."""
    kinds = [kind for kind in NEURONS if f"p_worse_{kind}" in rows]
    gains = rows[rows["helps"]]
    clear = gains[_above(gains, kinds) & (gains["corrected"] < SIGNIFICANT)]
    energies = energy_in_words(gains if len(gains) else rows, kinds)
    said = "reproduced" if len(clear) else not_reproduced(place(where, rows), against_untouched(rows))
    return Finding(
        f"Amplifying networks enhances performance more than amplifying other neurons does{what}.",
        "at least one gain beyond draws of each kind of control, each at the factor chosen for it (p ≤ .05), "
        f"p < .05 after Holm over the {len(rows)} tried",
        by_number(said, energies),
        f"{len(clear)} gains; {len(gains)} with an interval above 0, not corrected"
        + (f": {_said(gains)}" if len(gains) else ""),
    )


def _above(rows: pd.DataFrame, kinds: Sequence[ControlKind]) -> "pd.Series[bool]":
    """Whether results exceed draws of each kind."""
    return rows[[f"p_better_{kind}" for kind in kinds]].max(axis=1, skipna=False) <= SIGNIFICANT


def _beyond_turned(rows: pd.DataFrame, what: str, where: str) -> Finding:
    """Judge that gains are beyond those of rotations of the same subspace, which hold as much energy."""
    above = rows["helps"] & _above(rows, [ControlKind.rotation]) & (rows["corrected"] < SIGNIFICANT)
    return Finding(
        f"Amplifying networks enhances performance more than amplifying networks of rotations does{what}.",
        "at least one gain beyond draws of rotations, each at the factor chosen for it (p ≤ .05), "
        f"p < .05 after Holm over the {len(rows)} tried",
        "reproduced" if above.any() else not_reproduced(place(where, rows), rows["detectable_rotation"]),
        rotations_in_words(rows, "p_better_rotation", "add"),
    )
