"""Are networks enough? What remains of a task above an anchor that keeps no neuron, and what others keep."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.core.errors import NetworksError
from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.jobs import Jobs, settings
from fbn_exp.experiments.decisive.verdict import Verdict
from fbn_exp.experiments.paper.rules import not_reproduced
from fbn_exp.experiments.paper.tables import number, p_value, short_name

Row = Mapping[Hashable, Any]
# override of a job -> value of a job that does not say
PARTS = {
    "intervention.members": "all",
    "intervention.fill": "zero",
    "method.n_components": "",
    "model.name": "",
}
REFERENCES = {"top_energy": "most energy", "attribution": "largest attribution"}
# columns that the console has no room for
PAGE_ONLY = ("largest attribution", "could see", "draws")


def preservation_table(config: PreservationConfig, jobs: Jobs) -> pd.DataFrame:
    """Table with a row per model, fill and number of networks.

    ``anchor`` is the score with no neuron kept, ``remains`` the score above it, as a share of what the
    untouched model has above it. The interval is that of the score's paired difference from the untouched
    model, and takes anchor and untouched score as given.

    Raises
    ------
    NetworksError
        If no job has finished that keeps networks, or none that keeps no neuron.
    """
    scores = jobs.scores[jobs.scores["metric"] == config.endpoint]
    parts = settings(scores, PARTS)
    scores = scores.assign(
        **{name: parts[name] for name in ("members", "fill")},
        components=parts["n_components"],
        model=parts["name"],
    )
    kept, empty = (scores[scores["members"] == each] for each in ("all", "none"))
    anchors = empty.drop_duplicates(["model", "task", "fill"])[["model", "task", "fill", "value"]]
    table = kept.merge(anchors.rename(columns={"value": "anchor"}), on=["model", "task", "fill"])
    if table.empty:
        raise NetworksError(
            "no job of the sweep has finished that keeps networks, or none that keeps no neuron"
        )
    room = table["baseline"] - table["anchor"]
    for name, values in (("remains", table["delta"]), ("low", table["ci_low"]), ("high", table["ci_high"])):
        # nothing can be said of a share of nothing
        table[name] = (1 + values / room).where(room > 0)
    columns = ["model", "task", "fill", "components", "neurons", "n", "chance", "baseline", "anchor", "value"]
    drawn = ["p_gain_random", "detectable_random", "draws_random", "control_random", "control_random_high"]
    columns += ["remains", "low", "high", *drawn, *(f"control_{kind}" for kind in REFERENCES)]
    return table.reindex(columns=columns)


def preservation_verdict(config: PreservationConfig, table: pd.DataFrame, model: str) -> Verdict:
    """Judge by the rule of the config, each model and task by itself.

    Parameters
    ----------
    config : PreservationConfig
        The rule.
    table : DataFrame
        Result of ``preservation_table``.
    model : str
        Name of the model, where the sweep has a single one.
    """
    chosen = table[(table["fill"] == config.fill.value) & (table["components"] == str(config.components))]
    if chosen.empty:
        return Verdict(f"Undecided on {model}: no job of {config.components} networks has finished.", ())
    rows = chosen.to_dict("records")
    names = [f"{row['model'] or model}, {short_name(row['task'])}" for row in rows]
    failures = [_failures(config, row) for row in rows]
    held = [name for name, each in zip(names, failures, strict=True) if not each]
    lost = [
        f"{not_reproduced(name, [row['detectable_random']])} beyond random neurons: {', and '.join(each)}"
        for name, row, each in zip(names, rows, failures, strict=True)
        if each
    ]
    outcome = [f"The claim holds on {'; '.join(held)}."] if held else []
    outcome += [f"The claim is {each}." for each in lost]
    return Verdict(
        " ".join(outcome), tuple(_numbers(name, row) for name, row in zip(names, rows, strict=True))
    )


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
        if row[f"control_{kind}"] > row["value"]
    ]
    return failures


def _numbers(name: str, row: Row) -> str:
    references = ", ".join(f"{words} {number(row[f'control_{kind}'])}" for kind, words in REFERENCES.items())
    random = f"{number(row['control_random'])} (p = {p_value(row['p_gain_random'])}"
    return " ".join(
        (
            f"{name}: untouched {number(row['baseline'])};",
            f"{row['neurons']:,} neurons of {row['components']} networks kept {number(row['value'])},",
            f"none {number(row['anchor'])} (chance {number(row['chance'])}); {_remaining(row)} remains;",
            f"as many random neurons {random}, {row['draws_random']:.0f} draws), of {references}.",
        )
    )


def _remaining(row: Row) -> str:
    if np.isnan(row["remains"]):
        return "no share of anything"
    return f"{row['remains']:.0%} ({row['low']:.0%} … {row['high']:.0%})"


def preservation_readable(config: PreservationConfig, table: pd.DataFrame) -> pd.DataFrame:
    """Table for reading: a row per model, fill and number of networks."""
    rows = [
        {
            "task": short_name(row["task"]),
            "model": row["model"] or None,
            "fill": str(row["fill"]).replace("_", " "),
            "networks": row["components"],
            "kept": f"{row['neurons']:,}",
            "untouched": number(row["baseline"]),
            "none kept": number(row["anchor"]),
            config.endpoint: number(row["value"]),
            "remains": _remaining(row),
            "random (p)": f"{number(row['control_random'])} ({p_value(row['p_gain_random'])})",
            **{words: number(row[f"control_{kind}"]) for kind, words in REFERENCES.items()},
            "could see": number(row["detectable_random"]),
            "draws": f"{row['draws_random']:.0f}",
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows).dropna(axis=1, how="all")
