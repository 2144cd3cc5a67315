"""Are networks enough? What remains of a task above an anchor that keeps no neuron, and what others keep."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from fbn_exp.benchmarks.inference.draws import rank_detectable, rank_p_value
from fbn_exp.benchmarks.inference.exact import POWER
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.config import PreservationConfig
from fbn_exp.experiments.decisive.jobs import Jobs, settings
from fbn_exp.experiments.decisive.preservation.pooled import Pooled, ends, in_order

# override of a job -> value of a job that does not say
PARTS = {
    "intervention.members": "all",
    "intervention.fill": "zero",
    "method.n_components": "",
    "model.name": "",
    "decisive.classifier": "",
}
REFERENCES = {"top_energy": "most energy", "attribution": "largest attribution"}
SETTING = ["task", "fill", "components"]
RANDOM = ["p_gain_random", "detectable_random", "draws_random", "control_random"]
COLUMNS = [
    *("model", "models", *SETTING, "neurons", "n", "chance", "baseline", "anchor", "value"),
    *("remains", "low", "high", "detectable", *RANDOM),
    *(f"{name}_{kind}" for kind in REFERENCES for name in ("control", "more_low")),
]
OF_PROBE = ["baseline", "anchor", "value", "remains", "low", "high"]


def labelled(scores: pd.DataFrame) -> pd.DataFrame:
    """Add the settings of a job to its scores: members, fill, components and model.

    ``model`` is the classifier, or the name of the model where jobs name one.
    """
    parts = settings(scores, PARTS)
    model = parts["name"].where(parts["name"] != "", parts["classifier"])
    return scores.assign(
        **{name: parts[name] for name in ("members", "fill")}, components=parts["n_components"], model=model
    )


def preservation_table(config: PreservationConfig, jobs: Jobs, seed: int = 0) -> pd.DataFrame:
    """Table with a row per classifier, task, fill and number of networks, then one for their mean.

    ``anchor`` is the score with no neuron kept, ``remains`` the score above it, as a share of what the
    untouched model has above it. The interval of a single classifier is that of the score's paired
    difference from the untouched model, and takes anchor and untouched score as given; that of a mean
    is over texts and classifiers, and all three vary. ``detectable`` is the difference from the untouched
    score that would have been seen, ``detectable_random`` that from random neurons, ``more_low_<kind>``
    the lower end of the interval of how much more a reference keeps than the networks. Columns
    ``probe_…`` are the same for the second endpoint.

    Parameters
    ----------
    config : PreservationConfig
        What is judged.
    jobs : Jobs
        Results of the sweep.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    NetworksError
        If no job has finished that keeps networks, or none that keeps no neuron.
    """
    scores, pooled = labelled(jobs.scores), Pooled(jobs, seed)
    table = _of_metric(config, scores, config.endpoint, pooled)
    if table.empty:
        raise NetworksError(
            "no job of the sweep has finished that keeps networks, or none that keeps no neuron"
        )
    probe = _of_metric(config, scores, config.second_endpoint, pooled)
    names = {name: f"probe_{name}" for name in OF_PROBE}
    found = probe[["model", *SETTING, *OF_PROBE]].rename(columns=names)
    return table.merge(found, on=["model", *SETTING], how="left")


def _of_metric(config: PreservationConfig, scores: pd.DataFrame, metric: str, pooled: Pooled) -> pd.DataFrame:
    scores = scores[scores["metric"] == metric]
    kept, empty = (scores[scores["members"] == each] for each in ("all", "none"))
    anchors = empty.drop_duplicates(["model", "task", "fill"])[["model", "task", "fill", "value"]]
    table = kept.merge(anchors.rename(columns={"value": "anchor"}), on=["model", "task", "fill"])
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    room = table["baseline"] - table["anchor"]
    for name, values in (("remains", table["delta"]), ("low", table["ci_low"]), ("high", table["ci_high"])):
        # nothing can be said of a share of nothing
        table[name] = (1 + values / room).where(room > 0)
    single = [_references(config, table.iloc[[place]], pooled) for place in range(len(table))]
    table = table.assign(**pd.DataFrame(single, index=table.index))
    means = pd.DataFrame(list(_means(config, table, empty, pooled)))
    return pd.concat([table.assign(models=1), means], ignore_index=True).reindex(columns=COLUMNS)


def _means(
    config: PreservationConfig, table: pd.DataFrame, empty: pd.DataFrame, pooled: Pooled
) -> Iterator[dict[str, Any]]:
    """Yield a row for each setting that several classifiers have."""
    for setting, rows in table.groupby(SETTING, sort=False):
        models = list(dict.fromkeys(rows["model"]))
        if len(models) < 2:
            continue
        task, fill, _ = setting
        rows = in_order(rows, models)
        of_none = in_order(empty[(empty["task"] == task) & (empty["fill"] == fill)], models)
        numbers = ["neurons", "n", "chance", *(f"control_{kind}" for kind in REFERENCES)]
        value, baseline = pooled.means(rows)
        anchor, _ = pooled.means(of_none)
        yield {
            **dict(zip(SETTING, setting, strict=True)),
            "model": f"mean of {len(models)}",
            "models": len(models),
            **{str(name): mean for name, mean in rows.reindex(columns=numbers).mean().items()},
            **{name: float(rows[name].mean()) for name in ("value", "baseline", "anchor")},
            **_remaining(config, value, baseline, anchor),
            **_references(config, rows, pooled),
            **_beside(float(rows["value"].mean()), pooled.mean_draws(rows, "random")),
        }


def _references(config: PreservationConfig, rows: pd.DataFrame, pooled: Pooled) -> dict[str, float]:
    """Lower end of the interval of how much more each reference keeps than the networks."""
    return {f"more_low_{kind}": ends(pooled.beyond(rows, kind), config.alpha)[0] for kind in REFERENCES}


def _remaining(config: PreservationConfig, value: Array, baseline: Array, anchor: Array) -> dict[str, float]:
    """Share that remains, its interval, and the difference from the untouched score that would be seen."""
    room = baseline - anchor
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (value - anchor) / room
    # a resample with nothing to keep may have any share: it widens the interval at both ends
    low, high = (
        ends(np.where(room > 0, share, any_), config.alpha)[end] for end, any_ in enumerate((-np.inf, np.inf))
    )
    sizes = norm.ppf([1 - config.alpha / 2, POWER]).sum()
    return {
        "remains": float(share[0]) if room[0] > 0 else np.nan,
        "low": low,
        "high": high,
        "detectable": float(sizes * np.std((value - baseline)[1:])),
    }


def _beside(value: float, draws: Array) -> dict[str, float]:
    """Place of a mean score among those of draws."""
    if not len(draws):
        return dict.fromkeys(RANDOM, np.nan)
    return {
        "p_gain_random": rank_p_value(np.concatenate([[value], draws])),
        "detectable_random": rank_detectable(draws),
        "draws_random": float(len(draws)),
        "control_random": float(draws.mean()),
    }
