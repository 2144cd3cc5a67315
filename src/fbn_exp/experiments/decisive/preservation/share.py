"""The paper's control, a share of random neurons, with and without members, beside the networks."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.draws import rank_p_value
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.rows import Array
from fbn_exp.experiments.decisive.config import ShareConfig
from fbn_exp.experiments.decisive.jobs import Jobs, settings
from fbn_exp.experiments.decisive.preservation.pooled import Pooled, ends, in_order, of_most
from fbn_exp.experiments.decisive.preservation.table import labelled
from fbn_exp.experiments.decisive.verdict import Verdict
from fbn_exp.experiments.paper.rules import not_reproduced
from fbn_exp.experiments.paper.tables import could_see, number, p_value, short_name

Row = Mapping[Hashable, Any]
WITH, WITHOUT = "drawn from all", "drawn outside"
SAID = {"true": WITH, "false": WITHOUT}
PAGE_ONLY = ("draws", "could see")


def share_table(config: ShareConfig, jobs: Jobs, seed: int = 0) -> pd.DataFrame:
    """Table with a row per task, classifier and way to draw, then those of the mean over classifiers.

    ``excess`` is how much lower the networks' lesion scores than the mean of the draws of a share of all
    neurons; ``low`` and ``high`` are the interval of the score's difference from the untouched model, over
    texts, and over classifiers for their mean.

    Parameters
    ----------
    config : ShareConfig
        What is judged.
    jobs : Jobs
        Results of the sweep.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    NetworksError
        If no job has finished.
    """
    scores = labelled(jobs.scores[jobs.scores["metric"] == config.endpoint])
    drawn = settings(scores, {"controls.members": "false"})["members"].str.lower().map(SAID)
    rows = list(_rows(config, scores.assign(drawn=drawn), Pooled(jobs, seed)))
    if not rows:
        raise NetworksError(
            "no job of the sweep has finished that lesions networks beside a share of neurons"
        )
    return pd.DataFrame(rows)


def _rows(config: ShareConfig, scores: pd.DataFrame, pooled: Pooled) -> Iterator[dict[str, Any]]:
    for (task, drawn), of_setting in scores.groupby(["task", "drawn"], sort=False):
        models = list(dict.fromkeys(of_setting["model"]))
        groups = [[model] for model in models] + ([models] if len(models) > 1 else [])
        for group in groups:
            rows = in_order(of_setting, group)
            name = group[0] if len(group) == 1 else f"mean of {len(group)}"
            about = {"model": name, "models": len(group), "task": task, "drawn": drawn}
            yield {**about, **_numbers(config, rows, pooled)}


def _numbers(config: ShareConfig, rows: pd.DataFrame, pooled: Pooled) -> dict[str, float]:
    value, baseline = pooled.means(rows)
    low, high = ends(value - baseline, config.alpha)
    draws = pooled.mean_draws(rows, "share")
    own = float(rows["value"].mean())
    known = len(draws) > 0
    return {
        **{name: float(rows[name].mean()) for name in ("neurons", "n", "chance", "baseline", "value")},
        "low": low,
        "high": high,
        "share_value": float(draws.mean()) if known else np.nan,
        "share_worst": float(draws.min()) if known else np.nan,
        "excess": float(draws.mean()) - own if known else np.nan,
        # lower is worse
        "p_harm": rank_p_value(np.concatenate([[-own], -draws])) if known else np.nan,
        "detectable": _detectable(draws),
        "draws": float(len(draws)),
    }


def _detectable(draws: Array) -> float:
    """Fall below the mean of the draws that a lesion needs to lie below all of them in four of five cases."""
    if len(draws) < 2:
        return float("nan")
    return float(draws.mean() - draws.min() + np.quantile(draws, 0.8) - np.median(draws))


def share_verdict(config: ShareConfig, table: pd.DataFrame, model: str) -> Verdict:
    """Judge by the rule of the config, each task by itself; several classifiers by their mean.

    Parameters
    ----------
    config : ShareConfig
        The rule.
    table : DataFrame
        Result of ``share_table``.
    model : str
        Name of the model that was fine-tuned.
    """
    outcome, numbers = [], []
    for task, of_task in table.groupby("task", sort=False):
        rows = {str(drawn): of_most(of_drawn) for drawn, of_drawn in of_task.groupby("drawn")}
        name = f"{model}, {short_name(task)}"
        outcome.append(_outcome(config, rows, name))
        numbers += [_said(name, drawn, row) for drawn, row in rows.items()]
    return Verdict(" ".join(outcome), tuple(numbers))


def _outcome(config: ShareConfig, rows: Mapping[str, Row], name: str) -> str:
    if len(rows) < len(SAID):
        return f"Undecided on {name}: draws with members or without them are missing."
    beyond = {drawn: _beyond(config, row) for drawn, row in rows.items()}
    if all(beyond.values()):
        return f"The claim holds on {name}: networks do more harm than the share, with members and without."
    detectable = [row["detectable"] for drawn, row in rows.items() if not beyond[drawn]]
    lost = not_reproduced(name, detectable)
    if beyond[WITHOUT]:
        return f"The claim is {lost}: networks do more harm only than a share that leaves out their members."
    if beyond[WITH]:
        return (
            f"The claim is {lost}: networks are not shown to do more harm than a share without their members."
        )
    return f"The claim is {lost}: networks are not shown to do more harm than the share, however it is drawn."


def _beyond(config: ShareConfig, row: Row) -> bool:
    """Whether a lesion harms, and is worse than the draws by more than what counts as none."""
    return bool(row["high"] < 0 and row["p_harm"] <= config.alpha and row["excess"] > config.equivalent)


def _said(name: str, drawn: str, row: Row) -> str:
    return (
        f"{name}, {row['neurons']:,.0f} neurons of all networks at 0: {number(row['baseline'])} → "
        f"{number(row['value'])} (difference {number(row['low'])} … {number(row['high'])}); a share {drawn}: "
        f"mean {number(row['share_value'])}, worst {number(row['share_worst'])} of {row['draws']:.0f} draws "
        f"(p = {p_value(row['p_harm'])})."
    )


def share_readable(config: ShareConfig, table: pd.DataFrame) -> pd.DataFrame:
    """Table for reading: a row per task, way to draw, and classifier or mean."""
    order = table.sort_values("models", ascending=False, kind="stable").sort_values("task", kind="stable")
    rows = [
        {
            "task": short_name(row["task"]),
            "classifier": row["model"] or None,
            "share": row["drawn"],
            "neurons of networks": f"{row['neurons']:,.0f}",
            "untouched": number(row["baseline"]),
            "networks at 0": number(row["value"]),
            "difference": f"{number(row['low'])} … {number(row['high'])}",
            "share at 0 (mean)": number(row["share_value"]),
            "worst draw": number(row["share_worst"]),
            "p": p_value(row["p_harm"]),
            "could see": could_see(row["detectable"]),
            "draws": f"{row['draws']:.0f}",
        }
        for row in order.to_dict("records")
    ]
    return pd.DataFrame(rows).dropna(axis=1, how="all")
