"""Verdicts on all claims for a model, from the steps that were run."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from amplified import amplification
from claims import (
    beyond_neurons,
    beyond_rotations,
    harm,
    mild_share,
    preservation,
    recurrence,
    texts,
)
from dissociation import functions
from results import Results
from single_networks import single

from fbn_exp.experiments.paper.rules import Finding

TUNED = " (fine-tuned classifier)"
STABLE = " (default networks: z-scored, no first tokens)"


@dataclass(frozen=True)
class Judged:
    """A verdict and where it comes from.

    Attributes
    ----------
    step : str
        Step that holds its command and data.
    finding : Finding
        Claim, rule, verdict, numbers.
    """

    step: str
    finding: Finding


Maker = Callable[[Results, str], Finding | list[Finding]]
# step with command and data, other steps that are needed, maker of the verdict; in the document's order
MAKERS: tuple[tuple[str, tuple[str, ...], Maker], ...] = (
    ("consistency", (), lambda one, on: recurrence(one.paper("consistency"), on)),
    (
        "consistency_stable",
        (),
        lambda one, on: recurrence(one.paper("consistency_stable"), on, STABLE),
    ),
    ("lesion", (), lambda one, on: harm(lesion_table(one), on)),
    ("lesion", (), lambda one, on: beyond_neurons(lesion_table(one), on)),
    ("lesion", (), lambda one, on: beyond_rotations(lesion_table(one), on)),
    ("lesion", (), lambda one, on: mild_share(lesion_table(one), on)),
    ("lesion_stable", (), lambda one, on: beyond_neurons(one.paper("lesion_stable"), on, STABLE)),
    ("lesion_stable", (), lambda one, on: beyond_rotations(one.paper("lesion_stable"), on, STABLE)),
    ("tuned_lesion", (), lambda one, on: harm(one.paper("tuned_lesion"), on, TUNED)),
    ("tuned_lesion", (), lambda one, on: beyond_neurons(one.paper("tuned_lesion"), on, TUNED)),
    ("tuned_lesion", (), lambda one, on: beyond_rotations(one.paper("tuned_lesion"), on, TUNED)),
    ("tuned_lesion", (), lambda one, on: mild_share(one.paper("tuned_lesion"), on, TUNED)),
    ("lesion_single", (), lambda one, on: single(one.paper("lesion_single"), on)),
    ("lesion_functions", (), lambda one, on: functions(*function_tables(one), on)),
    (
        "generation",
        ("generation_share",),
        lambda one, on: texts(one.paper("generation"), one.paper("generation_share"), on),
    ),
    (
        "preservation",
        ("networks",),
        lambda one, on: preservation(one.paper("preservation"), one.n_neurons() or 0, on),
    ),
    ("amplification", (), lambda one, on: amplification(one.paper("amplification"), on, " (loss)")),
    (
        "amplification_tasks",
        (),
        lambda one, on: amplification(one.paper("amplification_tasks"), on, " (tasks)"),
    ),
)


def lesion_table(results: Results) -> pd.DataFrame:
    """Lesions of all networks: loss, and tasks if they were scored."""
    steps = [step for step in ("lesion", "lesion_tasks") if results.has(step)]
    return results.paper(*steps)


def function_tables(results: Results) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lesions of single networks on tasks: scores, items, and items under rotations."""
    step = "lesion_functions"
    return results.paper(step), results.items(step), results.draw_items(step)


def judged(results: Results) -> list[Judged]:
    """Judge every claim for which steps of a model were run."""
    found = []
    for step, needed, make in MAKERS:
        if results.has(step, *needed):
            made = make(results, results.model.name)
            findings = made if isinstance(made, list) else [made]
            found += [Judged(step, finding) for finding in findings]
    return found
