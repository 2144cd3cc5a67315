"""Is it ICA? Selectivity for tasks of networks as directions, beside rotations and other methods."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.config import ICAClaimConfig
from fbn_exp.experiments.decisive.ica.dissociation import double_dissociations, items_of_rotations
from fbn_exp.experiments.decisive.ica.interaction import (
    Selectivity,
    cells,
    detectable_above,
    p_above,
    selectivity,
    selectivity_of_draws,
)
from fbn_exp.experiments.decisive.jobs import Jobs, settings
from fbn_exp.experiments.paper.tables import short_name

Row = Mapping[Hashable, Any]
# override of a job -> value of a job that does not say
PARTS = {"method": "ica", "intervention.networks": "0"}
ROTATIONS, CLAIMED = "rotation", "ica"
METHODS = {
    "ica": "ICA",
    "pca": "PCA",
    "sae": "sparse autoencoder",
    "localizer": "localizers",
    ROTATIONS: "rotations",
}


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes of tasks under the directions of one method, in standard deviations of untouched items.

    Attributes
    ----------
    means, errors : array of shape (D, T)
        Mean changes, and their standard errors over items.
    items : list of T arrays of shape (D, n)
        Changes of items; empty for draws.
    values : list of T arrays of shape (D, n)
        Values of items, in their own unit; empty for draws whose items were not kept.
    untouched : list of T arrays of shape (n,)
        Values of the untouched model's items; empty for draws.
    networks : list of str
        Names of the directions.
    """

    means: Array
    errors: Array
    items: list[Array]
    values: list[Array]
    untouched: list[Array]
    networks: list[str]


def ica_tables(config: ICAClaimConfig, jobs: Jobs, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables with a row per direction, and with a row per method, of each endpoint.

    ``loss`` is minus the mean change over tasks, ``selectivity`` and ``share`` as in ``Selectivity``; all in
    standard deviations of untouched items. In the table of methods, p, ``above`` and ``detectable`` compare
    with rotations. ``double_dissociations`` counts pairs by the second endpoint, ``pairs_rotations`` those
    that rotations would have.

    Raises
    ------
    NetworksError
        If ICA or the rotations have no result.
    """
    found = [
        _of_endpoint(config, jobs, metric, np.random.default_rng(seed))
        for metric in (config.endpoint, config.second_endpoint)
    ]
    directions, methods = zip(*found, strict=True)
    return pd.concat(directions, ignore_index=True), pd.concat(methods, ignore_index=True)


def _of_endpoint(
    config: ICAClaimConfig, jobs: Jobs, metric: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    scores = jobs.scores[jobs.scores["metric"] == metric]
    scores = scores.assign(**settings(scores, PARTS).rename(columns={"networks": "network"}))
    tasks = list(dict.fromkeys(scores["task"]))
    items = jobs.items[jobs.items["metric"] == metric]
    draws = jobs.draws
    if not draws.empty:
        draws = draws[(draws["metric"] == metric) & (draws["kind"] == ROTATIONS)]
    if draws.empty or not (scores["method"] == CLAIMED).any():
        raise NetworksError("no job of the sweep has finished with networks of ICA, or none with rotations")
    spread = _spread(items, tasks)
    kept = jobs.draw_items
    kept = kept if kept.empty else kept[kept["metric"] == metric]
    rotations = _of_draws(draws, scores, tasks, spread, items_of_rotations(kept, tasks))
    profile = rotations.means.mean(axis=0)
    turned = selectivity_of_draws(rotations.means, rotations.errors)
    rows = [_direction_rows(metric, ROTATIONS, rotations, turned, tasks)]
    summaries = []
    for method, own in scores.groupby("method", sort=False):
        changes = _of_jobs(own, items, tasks, spread)
        chosen = selectivity(changes.means, changes.errors, profile)
        tested = cells(changes.items, profile, config.alpha, config.permutations, rng)
        table = _direction_rows(metric, str(method), changes, chosen, tasks)
        places = np.abs(chosen.residuals / np.maximum(chosen.errors, 1e-300)).argmax(axis=1)
        table["p_corrected"] = tested.p_corrected[np.arange(len(places)), places]
        table["cells_named"] = (tested.p_corrected <= config.alpha).sum(axis=1)
        halves = own.drop_duplicates("network")["job"].map(_halves(jobs.metrics))
        table[["split_half", "split_half_null_95"]] = pd.DataFrame(halves.tolist(), index=table.index)
        rows.append(table)
        summaries.append(
            {
                **_summary(config, metric, str(method), chosen, turned, rng),
                **_losses(config, -changes.means.mean(axis=1), -rotations.means.mean(axis=1), rng),
                "cells_named": int((tested.p_corrected <= config.alpha).sum()),
                "cells": tested.p_corrected.size,
                "cell_detectable": tested.detectable,
                "false_alarms": tested.false_alarms,
                "tokens": _tokens(jobs.metrics, own["job"]),
                "split_half": table["split_half"].median(),
                "split_half_null_95": table["split_half_null_95"].median(),
                **_dissociations(config, metric, changes, rotations, rng),
            }
        )
    return pd.concat(rows, ignore_index=True), pd.DataFrame(summaries)


def _summary(
    config: ICAClaimConfig,
    metric: str,
    method: str,
    own: Selectivity,
    turned: Selectivity,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Comparison of the directions of a method with rotations."""
    resampled = [
        rng.choice(own.size, (config.permutations, len(own.size))).mean(axis=1),
        rng.choice(turned.size, (config.permutations, len(turned.size))).mean(axis=1),
    ]
    low, high = np.quantile(resampled[0] - resampled[1], [config.alpha, 1 - config.alpha])
    return {
        "metric": metric,
        "method": method,
        "networks": len(own.size),
        "rotations": len(turned.size),
        "selectivity": float(own.size.mean()),
        "selectivity_rotations": float(turned.size.mean()),
        "rotations_95": float(np.quantile(turned.size, 1 - config.alpha)),
        "above": int((own.size > np.quantile(turned.size, 1 - config.alpha)).sum()),
        "p": p_above(own.size, turned.size, config.permutations, rng),
        "difference_low": float(low),
        "difference_high": float(high),
        "detectable": detectable_above(own.size, turned.size, config.alpha),
        "share": _mean(own.share),
        "share_rotations": _mean(turned.share),
        "p_share": p_above(own.share, turned.share, config.permutations, rng),
    }


def _losses(config: ICAClaimConfig, own: Array, turned: Array, rng: np.random.Generator) -> dict[str, float]:
    """General loss of the directions of a method beside that of rotations, at the same removed energy."""
    return {
        "loss": float(own.mean()),
        "loss_rotations": float(turned.mean()),
        "p_loss": p_above(own, turned, config.permutations, rng),
        "loss_detectable": detectable_above(own, turned, config.alpha),
    }


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _direction_rows(
    metric: str, method: str, changes: Changes, chosen: Selectivity, tasks: Sequence[str]
) -> pd.DataFrame:
    strongest = np.abs(chosen.residuals / np.maximum(chosen.errors, 1e-300)).argmax(axis=1)
    every = np.arange(len(strongest))
    table = pd.DataFrame(
        {
            "metric": metric,
            "method": method,
            "network": changes.networks,
            "loss": -changes.means.mean(axis=1),
            "selectivity": chosen.size,
            "share": chosen.share,
            "task": [short_name(tasks[place]) for place in strongest],
            "residual": chosen.residuals[every, strongest],
            "residual_error": chosen.errors[every, strongest],
        }
    )
    for place, task in enumerate(tasks):
        table[f"change/{short_name(task)}"] = changes.means[:, place]
        table[f"residual/{short_name(task)}"] = chosen.residuals[:, place]
    return table


def _spread(items: pd.DataFrame, tasks: Sequence[str]) -> Array:
    """Standard deviation of the untouched items of each task; 1 where they do not differ."""
    first = items[items["job"] == items["job"].iloc[0]]
    spread = np.array([first.loc[first["task"] == task, "baseline"].std() for task in tasks])
    return np.where(spread > 0, spread, 1.0)


def _dissociations(
    config: ICAClaimConfig, metric: str, own: Changes, rotations: Changes, rng: np.random.Generator
) -> dict[str, float]:
    """Columns on double dissociations, only for the metric of items that are right or wrong."""
    if metric != config.second_endpoint:
        return {}
    pairs = double_dissociations(
        own.values, rotations.values, own.untouched, config.alpha, config.permutations, rng
    )
    return {
        "double_dissociations": pairs.found,
        "pairs": pairs.pairs,
        "pairs_rotations": pairs.expected,
        "p_pairs": pairs.p_value,
    }


def _of_draws(
    draws: pd.DataFrame, scores: pd.DataFrame, tasks: Sequence[str], spread: Array, items: list[Array]
) -> Changes:
    """Changes under the draws of rotations."""
    untouched = scores.drop_duplicates("task").set_index("task").loc[list(tasks), "baseline"].to_numpy(float)
    value, error = (
        draws.pivot_table(index="draw", columns="task", values=name)[list(tasks)].to_numpy(float)
        for name in ("value", "difference_error")
    )
    names = [f"{place}" for place in range(len(value))]
    return Changes((value - untouched) / spread, error / spread, [], items, [], names)


def _of_jobs(own: pd.DataFrame, items: pd.DataFrame, tasks: Sequence[str], spread: Array) -> Changes:
    """Changes under the networks of a method, a job each."""
    jobs = own.drop_duplicates("network")
    values, changes, untouched = [], [], []
    for task, unit in zip(tasks, spread, strict=True):
        of_task = items[items["task"] == task]
        wide = {
            name: of_task.pivot(index="job", columns="item", values=name).loc[jobs["job"]].to_numpy(float)
            for name in ("value", "baseline")
        }
        values.append(wide["value"])
        untouched.append(wide["baseline"][0])
        changes.append((wide["value"] - wide["baseline"]) / unit)
    means = np.stack([each.mean(axis=1) for each in changes], axis=1)
    errors = np.stack([each.std(axis=1, ddof=1) / np.sqrt(each.shape[1]) for each in changes], axis=1)
    return Changes(means, errors, changes, values, untouched, jobs["network"].tolist())


def _tokens(metrics: pd.DataFrame, jobs: pd.Series) -> float:
    """Tokens of the texts that the networks of jobs come from; NaN if their runs do not say."""
    known = metrics.reindex(columns=["job", "networks/tokens"])
    return float(known.loc[known["job"].isin(jobs), "networks/tokens"].max())


def _halves(metrics: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Agreement between halves of the texts and its chance level, of the network of each job."""
    names = ["network/split_half", "network/split_half/null_95"]
    known = metrics.reindex(columns=["job", *names])
    return {row["job"]: (row[names[0]], row[names[1]]) for row in known.to_dict("records")}
