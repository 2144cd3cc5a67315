"""Rule on preservation: what remains above the anchor, and which rival explanations are named."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.preservation.pooled import of_most
from fbn_exp.experiments.decisive.preservation.table import REFERENCES
from fbn_exp.experiments.decisive.verdict import Verdict
from fbn_exp.experiments.paper.rules import not_reproduced
from fbn_exp.experiments.paper.tables import could_see, number, p_value, short_name

Row = Mapping[Hashable, Any]
# columns that the console has no room for
PAGE_ONLY = ("largest attribution", "could see", "could see beside random", "draws", "probe, none kept")


def preservation_verdict(config: PreservationConfig, table: pd.DataFrame, model: str) -> Verdict:
    """Judge by the rule of the config, each task by itself; several classifiers of a task by their mean.

    Parameters
    ----------
    config : PreservationConfig
        The rule.
    table : DataFrame
        Result of ``preservation_table``.
    model : str
        Name of the model that was fine-tuned.
    """
    chosen = table[(table["fill"] == config.fill.value) & (table["components"] == str(config.components))]
    if chosen.empty:
        return Verdict(f"Undecided on {model}: no job of {config.components} networks has finished.", ())
    rows = [of_most(of_task) for _, of_task in chosen.groupby("task")]
    names = [_name(row, model) for row in rows]
    failures = [_failures(config, row) for row in rows]
    held = [name for name, each in zip(names, failures, strict=True) if not each]
    lost = [
        f"{not_reproduced(name, [row['detectable_random']])} beyond random neurons: {', and '.join(each)}"
        for name, row, each in zip(names, rows, failures, strict=True)
        if each
    ]
    outcome = [f"The claim holds on {'; '.join(held)}."] if held else []
    outcome += [f"The claim is {each}." for each in lost]
    numbers = [
        said
        for name, row in zip(names, rows, strict=True)
        for said in (_numbers(name, row), _single(chosen, row), _probed(config, row))
        if said
    ]
    return Verdict(" ".join(outcome), tuple(numbers))


def _name(row: Row, model: str) -> str:
    """Model and task in words, with the number of classifiers where there are several."""
    task = short_name(row["task"])
    if row["models"] > 1:
        return f"{model}, {task} (mean of {row['models']:.0f} classifiers)"
    return f"{row['model'] or model}, {task}"


def _failures(config: PreservationConfig, row: Row) -> list[str]:
    """Parts of the rule that a result does not meet, in words."""
    if row["baseline"] <= row["chance"] + config.equivalent:
        return ["there is nothing to keep, the untouched model is at chance"]
    failures = []
    if row["anchor"] >= row["baseline"] - config.equivalent:
        failures.append("no neuron at all keeps as much")
    if not row["low"] >= config.share:
        shown = "is not kept" if row["high"] < config.share else "is not shown to be kept"
        failures.append(f"the task {shown}")
    if not row["p_gain_random"] <= config.alpha:
        failures.append("as many random neurons are not shown to keep less")
    failures += [
        f"as many neurons of {words} keep more"
        for kind, words in REFERENCES.items()
        if row[f"more_low_{kind}"] > 0
    ]
    return failures


def _numbers(name: str, row: Row) -> str:
    references = ", ".join(f"{words} {number(row[f'control_{kind}'])}" for kind, words in REFERENCES.items())
    random = f"{number(row['control_random'])} (p = {p_value(row['p_gain_random'])}"
    return " ".join(
        (
            f"{name}: untouched {number(row['baseline'])};",
            f"{row['neurons']:,.0f} neurons of {row['components']} networks kept {number(row['value'])},",
            f"none {number(row['anchor'])} (chance {number(row['chance'])}); {_remaining(row)} remains;",
            f"as many random neurons {random}, {_count(row['draws_random'])} draws), of {references}.",
        )
    )


def _single(chosen: pd.DataFrame, row: Row) -> str:
    """Scores of the single classifiers behind a mean."""
    if not row["models"] > 1:
        return ""
    single = chosen[(chosen["task"] == row["task"]) & (chosen["models"] == 1)]
    parts = [
        f"{each['model']} {number(each['baseline'])} → {number(each['value'])}"
        for each in single.to_dict("records")
    ]
    return f"Each classifier: {', '.join(parts)}."


def _probed(config: PreservationConfig, row: Row) -> str:
    """What a refitted probe reads, and what that says of the head."""
    if np.isnan(row["probe_value"]):
        return ""
    if row["probe_low"] >= config.share:
        found = "what the head reads is there"
        found += ", and the head no longer fits the moved states" if row["high"] < config.share else ""
    elif row["probe_high"] < config.share:
        found = "part of what the head reads is lost, whatever reads it"
    else:
        found = "whether all of it is there is not shown"
    return (
        f"A probe refitted to the states: untouched {number(row['probe_baseline'])}, kept "
        f"{number(row['probe_value'])}, none {number(row['probe_anchor'])}; {_remaining(row, 'probe_')} "
        f"remains: {found}."
    )


def _remaining(row: Row, prefix: str = "") -> str:
    remains, low, high = (row[f"{prefix}{name}"] for name in ("remains", "low", "high"))
    if np.isnan(remains):
        return "no share of anything"
    if not np.isfinite([low, high]).all():
        return f"{remains:.0%} (any share)"
    return f"{remains:.0%} ({low:.0%} … {high:.0%})"


def _count(draws: float) -> str:
    return "no" if np.isnan(draws) else f"{draws:.0f}"


def preservation_readable(config: PreservationConfig, table: pd.DataFrame) -> pd.DataFrame:
    """Table for reading: a row per task, fill, number of networks, and classifier or mean."""
    order = table.sort_values(["models"], ascending=False, kind="stable")
    order = order.sort_values(["task", "fill"], kind="stable")
    rows = [
        {
            "task": short_name(row["task"]),
            "classifier": row["model"] or None,
            "others at": str(row["fill"]).replace("_", " "),
            "networks": row["components"],
            "kept": f"{row['neurons']:,.0f}",
            "untouched": number(row["baseline"]),
            "none kept": number(row["anchor"]),
            config.endpoint: number(row["value"]),
            "remains": _remaining(row),
            "could see": could_see(row["detectable"]),
            "random (p)": f"{number(row['control_random'])} ({p_value(row['p_gain_random'])})",
            "could see beside random": could_see(row["detectable_random"]),
            "draws": _count(row["draws_random"]),
            **{words: number(row[f"control_{kind}"]) for kind, words in REFERENCES.items()},
            **_probe_cells(row),
        }
        for row in order.to_dict("records")
    ]
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def _probe_cells(row: Row) -> dict[str, str | None]:
    if np.isnan(row["probe_value"]):
        return {"probe": None, "probe, none kept": None}
    return {
        "probe": f"{number(row['probe_baseline'])} → {number(row['probe_value'])}",
        "probe, none kept": number(row["probe_anchor"]),
    }
