"""What a comparison with controls could have seen, and at which energy."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom

from fbn_exp.experiments.paper.rules import task_in_words, verdict
from fbn_exp.experiments.paper.tables import energies_of_others
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT


def seeing(rows: pd.DataFrame, detectable: "pd.Series[float]") -> list[float]:
    """Effects beside controls that could have been seen; infinite above half of the networks' own harm.

    If controls cost nothing, the difference is the networks' own harm; where half of it could not have been
    seen, nothing that is likely could. Where the networks show no harm, what could be seen stays as it is.
    """
    half = (rows["value"] - rows["untouched"]).abs() / 2
    return [float(each) for each in detectable.where(~(rows["harms"] & (detectable > half)), np.inf)]


def p_of_count(holding: int, all_: int) -> float:
    """Probability that so many of all tests hold, or more, if each does in one of twenty cases."""
    return float(binom.sf(holding - 1, all_, SIGNIFICANT))


def verdict_beside(more: "pd.Series[bool]", where: str, detectable: Iterable[float]) -> str:
    """Verdict on single tests of level .05: part of them counts if more hold than by chance."""
    holding = int(more.sum())
    by_chance = holding < len(more) and p_of_count(holding, len(more)) >= SIGNIFICANT
    return verdict(0 if by_chance else holding, len(more), where, detectable)


def energy_in_words(rows: pd.DataFrame, kinds: Sequence[ControlKind]) -> str:
    """Energy that controls remove, as a share of what the networks' edit does; empty if it is unknown."""
    ends = energies_of_others(rows, kinds)
    return f"{' to '.join(ends)} of the energy" if ends else ""


def by_number(said: str, energies: str, others: str = "others") -> str:
    """Verdict beside as many neurons; where it is for the claim, with the energy that the others hold."""
    return (
        f"{said}, by number: the {others} hold {energies}"
        if energies and said.startswith("reproduced")
        else said
    )


def rotations_in_words(rows: pd.DataFrame, p_values: str, changed: str) -> str:
    """Scores of networks beside rotations, their p, and the energy that these have changed, in words.

    Parameters
    ----------
    rows : DataFrame
        A row per task.
    p_values : str
        Column of the one-sided p.
    changed : str
        What rotations do to their energy: ``remove`` or ``add``.
    """
    numbers = ", ".join(
        f"{task_in_words(row['task'])} {row['value']:.3g}, rotations {row['control_rotation_low']:.3g} … "
        f"{row['control_rotation_high']:.3g} (p = {row[p_values]:.2g})"
        for row in rows.to_dict("records")
    )
    energy = energy_in_words(rows, [ControlKind.rotation]) or "unknown energy"
    return f"{numbers}; rotations {changed} {energy}"
