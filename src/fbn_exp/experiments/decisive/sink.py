"""Is it the sink? Harm of lesions beyond that of other neurons, and how much of it goes with the sink."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.bootstrap import BOOTSTRAPS
from fbn_exp.benchmarks.inference.families import max_t_over_draws
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.config import SinkConfig
from fbn_exp.experiments.decisive.jobs import Jobs, settings

# config of a job that names its lesion -> value of a job that does not say
PARTS = {"intervention.members": "all", "intervention.fill": "zero", "intervention.tokens": "all"}


def sink_table(config: SinkConfig, jobs: Jobs, seed: int = 0) -> pd.DataFrame:
    """Table with a row per endpoint and lesion, the claim's lesion first.

    ``excess`` is the harm beyond the mean of the control's draws, ``gone`` the share of the claim's excess
    that is not there. Intervals are over texts and draws: texts are drawn with replacement, the same for all
    lesions, and draws of each lesion anew.

    Parameters
    ----------
    config : SinkConfig
        What is judged.
    jobs : Jobs
        Results of the sweep; jobs that failed have none.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    NetworksError
        If the claim's lesion has no result.
    """
    scores = jobs.scores.assign(lesion=settings(jobs.scores, PARTS).agg("/".join, axis=1))
    tables = [
        _of_endpoint(config, scores[scores["metric"] == metric], jobs, seed)
        for metric in (config.endpoint, config.second_endpoint)
    ]
    return pd.concat(tables, ignore_index=True)


def _of_endpoint(config: SinkConfig, scores: pd.DataFrame, jobs: Jobs, seed: int) -> pd.DataFrame:
    rows = scores.drop_duplicates("lesion").set_index("lesion")
    if config.claim not in rows.index:
        raise NetworksError(f"no job of the sweep has finished the lesion of the claim, {config.claim}")
    order = [config.claim, *(each for each in rows.index if each != config.claim)]
    rows = rows.loc[order]
    excess = _resampled_excess(config, rows, jobs, np.random.default_rng(seed))
    found = pd.DataFrame([_row(config, row, excess) for row in rows.reset_index().to_dict("records")])
    return found.assign(p_corrected=found["lesion"].map(_corrected(config, rows, jobs)))


def _corrected(config: SinkConfig, rows: pd.DataFrame, jobs: Jobs) -> dict[str, float]:
    """Two-sided p among the control's draws, corrected for claim and remedies together (max-T)."""
    values = {}
    for lesion, row in rows.loc[rows.index.isin([config.claim, *config.remedies])].iterrows():
        if len(drawn := _drawn(config, row, jobs)):
            values[str(lesion)] = np.concatenate([[row["value"]], drawn])
    if len({len(each) for each in values.values()}) != 1:
        return {}
    corrected = max_t_over_draws(np.stack(list(values.values()), axis=1))
    return dict(zip(values, corrected.tolist(), strict=True))


def _drawn(config: SinkConfig, row: "pd.Series[Any]", jobs: Jobs) -> Array:
    """Scores of the control's draws of a result, in their order."""
    draws = _of_result(jobs.draws, row)
    if draws.empty:
        return np.array([])
    values: Array = draws[draws["kind"] == config.control.value].sort_values("draw")["value"].to_numpy(float)
    return values


def _row(config: SinkConfig, row: Mapping[Hashable, Any], excess: Mapping[str, Array]) -> dict[str, Any]:
    control, sign = config.control.value, -1.0 if row["higher_is_better"] else 1.0
    tail = 100 * config.alpha / 2
    own, claimed = excess[row["lesion"]], excess[config.claim]
    middle = {"excess": own[0], "gone": 1 - own[0] / claimed[0]}
    spread = {"excess": own[1:], "gone": 1 - own[1:] / claimed[1:]}
    ends = {
        f"{name}_{side}": float(np.percentile(values, at))
        for name, values in spread.items()
        for side, at in (("low", tail), ("high", 100 - tail))
    }
    near, far = np.percentile(own[1:], [2 * tail, 100 - 2 * tail])
    columns = {name: row.get(name, np.nan) for name in ("neurons", "energy", "value", "baseline", "n")}
    beside = {
        f"{kind}{what}": row.get(f"{name}_{kind}", np.nan)
        for kind in dict.fromkeys((control, "energy", "noise"))
        for what, name in (("_mean", "control"), ("_draws", "draws"), ("_p", "p_harm"))
    }
    return {
        **{name: row[name] for name in ("lesion", "metric")},
        **columns,
        # nothing is known of other texts where no neuron is lesioned but that nothing changes
        "low": row["value"] if row["neurons"] == 0 else row["baseline"] + row["ci_low"],
        "high": row["value"] if row["neurons"] == 0 else row["baseline"] + row["ci_high"],
        **beside,
        **middle,
        **ends,
        "p_harm": row.get(f"p_harm_{control}", np.nan),
        "detectable": row.get(f"detectable_{control}", np.nan),
        "equivalent_within": max(-float(near), float(far)),
        "harm": sign * (row["value"] - row["baseline"]),
    }


def _resampled_excess(
    config: SinkConfig, rows: pd.DataFrame, jobs: Jobs, rng: np.random.Generator
) -> dict[str, Array]:
    """Excess harm of each lesion: first as it is, then resampled over texts and draws; NaN without draws."""
    kind = config.control.value
    n_texts = int(rows["n"].max())
    counts = np.vstack(
        [np.ones(n_texts), rng.multinomial(n_texts, np.full(n_texts, 1 / n_texts), BOOTSTRAPS)]
    )
    excess = {}
    for lesion, row in rows.iterrows():
        items = _of_result(jobs.items, row).sort_values("item")
        drawn = _drawn(config, row, jobs)
        sign = -1.0 if row["higher_is_better"] else 1.0
        if not len(drawn):
            excess[str(lesion)] = np.full(1 + BOOTSTRAPS, np.nan)
            continue
        weight = items["weight"].to_numpy(dtype=float)
        beyond = (items["value"] - items[f"control_{kind}"]).to_numpy(dtype=float)
        of_texts = counts @ (weight * beyond) / (counts @ weight)
        # R - 1 of R draws, so that few of them do not look alike (Rao & Wu 1988)
        size = max(1, len(drawn) - 1)
        other = rng.choice(drawn, (BOOTSTRAPS, size)).mean(axis=1) - drawn.mean()
        excess[str(lesion)] = sign * (of_texts - np.concatenate([[0.0], other]))
    return excess


def _of_result(table: pd.DataFrame, row: "pd.Series[Any]") -> pd.DataFrame:
    if table.empty:
        return table
    return table[
        (table["job"] == row["job"]) & (table["task"] == row["task"]) & (table["metric"] == row["metric"])
    ]
