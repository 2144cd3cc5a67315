"""Rule on the claim of ICA, and the table for reading."""

from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.experiments.decisive.config import ICAClaimConfig
from fbn_exp.experiments.decisive.ica.table import CLAIMED, METHODS, Row
from fbn_exp.experiments.decisive.verdict import Verdict
from fbn_exp.experiments.paper.rules import not_reproduced
from fbn_exp.experiments.paper.tables import could_see, number, p_value

# columns that the console has no room for
PAGE_ONLY = ("p, loss", "cells from", "false alarms", "double dissociations", "by accuracy (p)")


def ica_verdict(
    config: ICAClaimConfig, directions: pd.DataFrame, methods: pd.DataFrame, model: str
) -> Verdict:
    """Judge by the rule of the config, on the first endpoint.

    Parameters
    ----------
    config : ICAClaimConfig
        The rule.
    directions, methods : DataFrame
        Result of ``ica_tables``.
    model : str
        Name of the model.
    """
    rows = methods[methods["metric"] == config.endpoint].to_dict("records")
    claim = next(row for row in rows if row["method"] == CLAIMED)
    numbers = [_numbers(row) for row in rows]
    numbers += [_cells(row) for row in rows]
    second = methods[methods["metric"] == config.second_endpoint].to_dict("records")
    numbers += [_second(config, row) for row in second if row["method"] == CLAIMED]
    strongest = _strongest(config, directions)
    return Verdict(_outcome(config, claim, model), (*numbers, *strongest))


def _outcome(config: ICAClaimConfig, claim: Row, model: str) -> str:
    larger, other = claim["p"] <= config.alpha, claim["p_share"] <= config.alpha
    known = np.isfinite([claim["split_half"], claim["split_half_null_95"]]).all()
    stable = known and claim["split_half"] > claim["split_half_null_95"]
    maps = (
        "their maps reproduce between halves of the texts beyond rotations"
        if stable
        else "their maps are not shown to reproduce between halves of the texts beyond rotations"
    )
    if larger and other:
        held = "The claim holds" if stable else "The claim holds in part"
        return f"{held} on {model}: networks of ICA are more selective for tasks than rotations, and {maps}."
    if larger:
        return (
            f"The claim failed in part on {model}: networks of ICA do more than rotations, but not other "
            f"things (the share that is selective is not larger); {maps}."
        )
    nothing = (
        f", and ICA adds less than {config.equivalent:.0%} to theirs"
        if claim["difference_high"] < config.equivalent * claim["selectivity_rotations"]
        else ""
    )
    loss = (
        f" They do more general harm than rotations at the same energy ({number(claim['loss'])} against "
        f"{number(claim['loss_rotations'])} standard deviations, p = {p_value(claim['p_loss'])})."
        if claim["p_loss"] <= config.alpha
        else ""
    )
    shown = not_reproduced(model, [claim["detectable"]])
    # that nothing was found is no failure where something that counts may be there
    head = "The prediction failed" if nothing else "The prediction is not confirmed"
    return f"{head}: selectivity beyond rotations is {shown}{nothing}; {maps}.{loss}"


def _name(row: Row) -> str:
    return METHODS.get(row["method"], str(row["method"]))


def _numbers(row: Row) -> str:
    low, high = number(row["difference_low"]), number(row["difference_high"])
    halves = (
        f"; split-half |r| {number(row['split_half'])} (chance {number(row['split_half_null_95'])})"
        if np.isfinite(row["split_half"])
        else ""
    )
    # networks of an earlier version do not say
    tokens = f" ({row['tokens']:,.0f} tokens)" if np.isfinite(row["tokens"]) else ""
    return (
        f"{_name(row)}{tokens}: selectivity {number(row['selectivity'])}, rotations of ICA's maps "
        f"{number(row['selectivity_rotations'])} (90% interval of the difference {low} … {high}, p = "
        f"{p_value(row['p'])}; {number(row['detectable'])} could have been seen); {row['above']} of "
        f"{row['networks']} above the 95th percentile of rotations; share {number(row['share'])} against "
        f"{number(row['share_rotations'])} (p = {p_value(row['p_share'])}); general loss "
        f"{number(row['loss'])}, rotations {number(row['loss_rotations'])} (p = {p_value(row['p_loss'])})"
        f"{halves}."
    )


def _cells(row: Row) -> str:
    return (
        f"{_name(row)}: {row['cells_named']} of {row['cells']} tasks of networks "
        f"stand out (max-T; from {number(row['cell_detectable'])} on in 80% of cases), with permuted labels "
        f"any in {row['false_alarms']:.0%} of cases."
    )


def _second(config: ICAClaimConfig, row: Row) -> str:
    return (
        f"By {config.second_endpoint}, ICA against rotations: {number(row['selectivity'])} against "
        f"{number(row['selectivity_rotations'])} (p = {p_value(row['p'])}); double dissociations: "
        f"{_dissociations(row)}."
    )


def _dissociations(row: Row) -> str:
    """Pairs that dissociate, and how many rotations would."""
    found = f"{row['double_dissociations']:.0f} of {row['pairs']:.0f}"
    if not np.isfinite(row["pairs_rotations"]):
        return found
    return f"{found}, rotations {number(row['pairs_rotations'])} (p = {p_value(row['p_pairs'])})"


def _strongest(config: ICAClaimConfig, directions: pd.DataFrame) -> list[str]:
    """Sentence on the networks of ICA that stand out in a task."""
    own = directions[(directions["metric"] == config.endpoint) & (directions["method"] == CLAIMED)]
    named = own[own["p_corrected"] <= config.alpha].sort_values("p_corrected", kind="stable")
    if named.empty:
        return []
    each = [
        f"{row['network']} in {row['task']} ({number(row['residual'])}, p = {p_value(row['p_corrected'])})"
        for row in named.to_dict("records")
    ]
    return [f"Networks of ICA that stand out: {', '.join(each)}."]


def ica_readable(config: ICAClaimConfig, methods: pd.DataFrame) -> pd.DataFrame:
    """Table for reading: a row per method, then the rotations."""
    by_method = {
        metric: {row["method"]: row for row in methods[methods["metric"] == metric].to_dict("records")}
        for metric in (config.endpoint, config.second_endpoint)
    }
    rows = [
        _readable(row, by_method[config.second_endpoint].get(name))
        for name, row in by_method[config.endpoint].items()
    ]
    first = next(iter(by_method[config.endpoint].values()))
    turned = {
        "directions": "rotations of ICA's",
        "n": str(first["rotations"]),
        "loss (SD)": number(first["loss_rotations"]),
        "selectivity (SD)": number(first["selectivity_rotations"]),
        "share": number(first["share_rotations"]),
    }
    return pd.DataFrame([*rows, turned]).fillna("")


def _readable(row: Row, second: Row | None) -> dict[str, Any]:
    halves = "" if not np.isfinite(row["split_half"]) else number(row["split_half"])
    chance = "" if not np.isfinite(row["split_half_null_95"]) else f" ({number(row['split_half_null_95'])})"
    accuracy = "" if second is None else f"{number(second['selectivity'])} ({p_value(second['p'])})"
    return {
        "directions": _name(row),
        "n": str(row["networks"]),
        "loss (SD)": number(row["loss"]),
        "p, loss": p_value(row["p_loss"]),
        "selectivity (SD)": number(row["selectivity"]),
        "p": p_value(row["p"]),
        "could see": could_see(row["detectable"]),
        "share": number(row["share"]),
        "above 95%": f"{row['above']} of {row['networks']}",
        "tasks that stand out": f"{row['cells_named']} of {row['cells']}",
        "cells from": number(row["cell_detectable"]),
        "false alarms": f"{row['false_alarms']:.0%}",
        "double dissociations": "" if second is None else _dissociations(second),
        "by accuracy (p)": accuracy,
        "split-half |r| (chance)": f"{halves}{chance}",
    }
