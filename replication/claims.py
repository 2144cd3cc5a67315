"""The paper's claims, one by one, beside what was found: by rules that the document states."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from results import Results

SAME_SIZE = ("random", "per_block", "activation")
# share of the untouched score above chance that counts as preserved
PRESERVED = 0.95
# of all neurons: the paper keeps fewer than this
TENTH = 0.10


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and what became of it here.

    Attributes
    ----------
    claim : str
        As the paper makes it.
    rule : str
        When it counts as found.
    verdict : str
        ``holds``, ``holds in part`` and in how many cases, ``does not hold``.
    numbers : str
        What it rests on.
    """

    claim: str
    rule: str
    verdict: str
    numbers: str


def verdict(holding: int, all_: int) -> str:
    """In words, of how many cases a rule was met in."""
    if holding == all_:
        return "holds"
    return f"holds in part ({holding} of {all_})" if holding else "does not hold"


def recurrence(found: pd.DataFrame) -> Finding:
    """Matches beside both chance levels."""
    above = found["p_value"] < 0.05
    numbers = "; ".join(
        f"{row.corpus}: {row.matches:,} matches of {row.templates * row.individual:,} pairs, by chance "
        f"{max(row.chance_masks, row.chance_shift):.1f} (p = {row.p_value:.2g}), "
        f"{row.above_chance} of {row.templates} templates above chance"
        for row in found.itertuples()
    )
    return Finding(
        "The same networks recur in other texts.",
        "more matches (IoU > .2) than under random masks and under shifted signals, p < .05, on each corpus",
        verdict(int(above.sum()), len(found)),
        numbers,
    )


def lesions(found: pd.DataFrame, model: str) -> list[Finding]:
    """All networks set to 0, beside each kind of control."""
    rows = _one_metric_per_task(found)
    worse = _sign(rows)
    tasks = len(rows)

    def beyond(kind: str) -> pd.Series:
        end = np.where(worse > 0, rows[f"control_{kind}_low"], rows[f"control_{kind}_high"])
        return rows["harms"] & (worse * (rows["value"] - end) < 0)

    counts = {kind: int(beyond(kind).sum()) for kind in (*SAME_SIZE, "share")}
    size = f"{rows['neurons'].iloc[0]:,} neurons"
    harm = int(rows["harms"].sum())
    by_task = ", ".join(
        f"{_short(row.task)} {row.untouched:.3g} → {row.value:.3g} ({row.low:.3g} … {row.high:.3g})"
        for row in rows.itertuples()
    )
    cost = worse * (rows["untouched"] - rows["value"])
    mild = rows["harms"] & (worse * (rows["untouched"] - rows["control_share"]) < 0.5 * cost)
    return [
        Finding(
            f"Setting all networks to 0 impairs the model ({model}).",
            "the 95% interval of the paired difference excludes 0, on each task",
            verdict(harm, tasks),
            f"{size}; {by_task}",
        ),
        Finding(
            f"… more than other neurons do ({model}).",
            "harm as above, and worse than every draw of each control of the same size: random, in the same "
            "blocks, as active",
            verdict(int(_harms_most(rows).sum()), tasks),
            f"beyond random neurons on {counts['random']} of {tasks} tasks, beyond some in the same blocks "
            f"on {counts['per_block']}, beyond equally active ones on {counts['activation']}",
        ),
        Finding(
            f"… while 15% of all neurons at random do little ({model}).",
            "harm as above, and 15% at random, none of them of the networks, cost less than half as much, on "
            "each task",
            verdict(int(mild.sum()), tasks),
            "untouched, 15% at random (lowest … highest of the draws), networks: "
            + ", ".join(
                f"{_short(row.task)} {row.untouched:.3g}, {row.control_share_low:.3g} … "
                f"{row.control_share_high:.3g}, {row.value:.3g}"
                for row in rows.itertuples()
            ),
        ),
    ]


def functions(found: pd.DataFrame, model: str) -> Finding:
    """Double dissociation: of two networks, one is the more harmful on one task, the other on another."""
    rows = _one_metric_per_task(found)
    sign = _sign(rows)
    # of the harm: the interval of the score turned round where larger is better
    ends = np.sort(np.stack([-sign * rows["low"], -sign * rows["high"]]), axis=0)
    rows = rows.assign(least=ends[0], most=ends[1], beyond=_harms_most(rows))
    least, most, beyond = (
        rows.pivot(index="networks", columns="task", values=name).to_numpy()
        for name in ("least", "most", "beyond")
    )
    # [i, j]: on some task network i harms beyond every control, and clearly more than j
    more = (beyond.astype(bool)[:, None, :] & (least[:, None, :] > most[None, :, :])).any(axis=2)
    pairs = int(np.triu(more & more.T, 1).sum())
    n_networks, n_tasks = beyond.shape
    return Finding(
        f"Single networks serve functions of their own ({model}).",
        "double dissociation: of two networks, each harms some task beyond every control and clearly more "
        "than the other does (their intervals do not overlap)",
        "holds" if pairs else "does not hold",
        f"{pairs} of {n_networks * (n_networks - 1) // 2} pairs; of {n_networks * n_tasks} lesions "
        f"({n_networks} networks × {n_tasks} tasks) {int(rows['harms'].sum())} harm, "
        f"{int(rows['beyond'].sum())} of them beyond every control",
    )


def single(found: pd.DataFrame, model: str) -> Finding:
    """One task: some networks matter, others do not."""
    rows = _one_metric_per_task(found)
    beyond = _harms_most(rows)
    numbers = ", ".join(
        f"{row.networks}: {row.neurons} neurons → {row.value:.3g}" for row in rows.itertuples()
    )
    return Finding(
        f"Single networks of few neurons impair the model ({model}).",
        "at least one harms beyond every control of its size",
        "holds" if beyond.any() else "does not hold",
        f"{int(beyond.sum())} of {len(rows)} networks; untouched {rows['untouched'].iloc[0]:.3g}; {numbers}",
    )


def preservation(found: pd.DataFrame, n_neurons: int, model: str) -> Finding:
    """Everything outside set to 0."""
    rows = _one_metric_per_task(found)
    few = rows[rows["neurons"] < TENTH * n_neurons]
    if rows["chance"].notna().all():
        above = few["untouched"] - few["chance"]
        # a model that knows nothing has nothing to preserve
        met, rule = (
            (above > 0) & (few["value"] - few["chance"] >= PRESERVED * above),
            f"at least {PRESERVED:.0%} of the untouched score above the majority rate",
        )
    else:
        met, rule = (
            few["value"] <= few["untouched"] / PRESERVED,
            f"at most 1/{PRESERVED} of the untouched loss",
        )
    numbers = ", ".join(
        f"{row.components} networks, {row.neurons:,} neurons ({row.neurons / n_neurons:.1%}): "
        f"{row.value:.3g} ({row.low:.3g} … {row.high:.3g}), best control {_best(row)}"
        for row in rows.itertuples()
    )
    return Finding(
        f"Fewer than 10% of the neurons, those of the networks, preserve the model ({model}).",
        rule + ", with fewer than 10% of the neurons kept",
        "holds" if met.any() else "does not hold",
        f"untouched {rows['untouched'].iloc[0]:.3g}; {numbers}",
    )


def amplification(found: pd.DataFrame, model: str) -> list[Finding]:
    """Factors above 1, chosen on dev items."""
    rows = _one_metric_per_task(found)
    together = rows[rows["networks"] == "all"]
    gains = rows[rows["helps"]]
    beyond = gains[gains["above_controls"]]

    def said(some: pd.DataFrame) -> str:
        return ", ".join(
            f"{_short(row.task)} with networks {row.networks} × {row.factor:g}: {row.untouched:.3g} → "
            f"{row.value:.3g} ({row.low:.3g} … {row.high:.3g})"
            for row in some.itertuples()
        )

    return [
        Finding(
            f"Amplifying all networks enhances overall performance ({model}).",
            "the interval excludes 0 on the side of a gain on each task, at factors chosen on dev items",
            verdict(int(together["helps"].sum()), len(together)),
            said(together),
        ),
        Finding(
            f"Amplifying some networks enhances some task ({model}).",
            "at least one gain with an interval that excludes 0, beyond every control; "
            f"of {len(rows)} tried, one in forty would gain by chance",
            "holds" if len(beyond) else "does not hold",
            f"{len(gains)} gains, {len(beyond)} beyond every control"
            + (f": {said(gains)}" if len(gains) else ""),
        ),
    ]


def texts(found: pd.DataFrame) -> Finding:
    """What is written, by how much of it repeats itself."""
    rows = found[found["metric"] == "repetition"]
    beyond = rows["harms"] & (rows["value"] > rows["control_share_high"])
    values = ", ".join(f"{row.networks}: {row.value:.2f}" for row in rows.itertuples())
    return Finding(
        "Texts fall apart with a network at 0, and not with 15% of all neurons at random (base model).",
        "more of the text repeats itself than untouched (the interval excludes 0), and than with 15% at "
        "random, for each network",
        verdict(int(beyond.sum()), len(rows)),
        f"share of repeated trigrams: untouched {rows['untouched'].iloc[0]:.2f}, 15% at random "
        f"{rows['control_share_low'].min():.2f} … {rows['control_share_high'].max():.2f}, networks {values}; "
        f"{int(rows['harms'].sum())} of {len(rows)} intervals exclude 0",
    )


def all_findings(results: Results, n_neurons: int) -> list[Finding]:
    """Every claim that the steps at hand speak to."""
    makers: list[tuple[str, Callable[[pd.DataFrame], Finding | list[Finding]]]] = [
        ("consistency", recurrence),
        ("lesion", lambda found: lesions(found, "base model")),
        ("lesion_stable", lambda found: lesions(found, "base model, signals=stable")[:2]),
        ("tuned_lesion", lambda found: lesions(found, "fine-tuned classifier")),
        ("lesion_single", lambda found: functions(found, "base model")),
        ("tuned_lesion_single", lambda found: single(found, "fine-tuned classifier")),
        ("generation", texts),
        ("preservation", lambda found: preservation(found, n_neurons, "base model")),
        ("tuned_preservation", lambda found: preservation(found, n_neurons, "fine-tuned classifier")),
        ("amplification", lambda found: amplification(found, "base model")),
        ("tuned_amplification", lambda found: amplification(found, "fine-tuned classifier")[:1]),
    ]
    found: list[Finding] = []
    for step, make in makers:
        if results.has(step):
            made = make(results.paper(step))
            found += made if isinstance(made, list) else [made]
    return found


def _one_metric_per_task(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy where majority does not give it, else the first metric."""
    preferred = found.assign(order=(found["metric"] != "balanced_acc").astype(int))
    first = preferred.groupby("task", sort=False)["order"].transform("min")
    rows = preferred[preferred["order"] == first]
    same = ["task", "networks", "neurons", "factor"]
    return rows.groupby(same, sort=False, dropna=False).head(1).reset_index(drop=True)


def _harms_most(rows: pd.DataFrame) -> pd.Series:
    """Whether each lesion harms, and beyond every control of its size."""
    return rows["harms"] & rows["below_controls"]


def _sign(rows: pd.DataFrame) -> pd.Series:
    """1 where larger is better, −1 for losses."""
    return pd.Series(np.where(rows["metric"].isin(["nats_per_token", "repetition"]), -1, 1), index=rows.index)


def _best(row: Any) -> str:
    ends = [getattr(row, f"control_{kind}_{side}") for kind in SAME_SIZE for side in ("low", "high")]
    best = min(ends) if row.metric == "nats_per_token" else max(ends)
    return "none" if np.isnan(best) else f"{best:.3g}"


def _short(task: object) -> str:
    return (
        str(task)
        .removeprefix("fbn_")
        .removeprefix("classification_")
        .replace("perplexity_wiki", "nats per token")
    )
