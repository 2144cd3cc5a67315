"""Judge the paper's claims one by one, by rules that the document states."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from results import Results

from fbn_exp.benchmarks.inference.signs import sign_flip_p_value
from fbn_exp.core.rows import Array
from fbn_exp.experiments.paper.rules import (
    Finding,
    best_control,
    harms_most,
    holm,
    one_metric_per_task,
    sign,
    task_in_words,
    verdict,
)
from fbn_exp.experiments.paper.tables import SAME_SIZE
from fbn_exp.report.presentation import SIGNIFICANT

# a network preserves a task if it keeps this share of the untouched score above chance
PRESERVED = 0.95
# the paper keeps a smaller share of all neurons than this
TENTH = 0.10


def recurrence(table: pd.DataFrame, model: str) -> Finding:
    """Judge that networks recur: matches beside all chance levels."""
    above = table["p_value"] < 0.05
    chance = table.filter(regex="^chance_").max(axis=1)
    numbers = "; ".join(
        f"{row.corpus}: {row.matches:,} matches of {row.templates * row.individual:,} pairs, by chance "
        f"{expected:.1f} (p = {row.p_value:.2g}), {row.above_chance} of {row.templates} templates above "
        "chance"
        for row, expected in zip(table.itertuples(), chance, strict=True)
    )
    return Finding(
        f"The same networks recur in other texts ({model}).",
        "more matches (IoU > .2) than under every null of analysis=consistency, p < .05, on each corpus",
        verdict(int(above.sum()), len(table)),
        numbers,
    )


def lesions(table: pd.DataFrame, model: str) -> list[Finding]:
    """Judge the lesion of all networks beside each kind of control."""
    rows = one_metric_per_task(table)
    worse = sign(rows)
    tasks = len(rows)

    def beyond(kind: str) -> pd.Series:
        end = np.where(worse > 0, rows[f"control_{kind}_low"], rows[f"control_{kind}_high"])
        return rows["harms"] & (worse * (rows["value"] - end) < 0)

    counts = {kind: int(beyond(kind).sum()) for kind in (*SAME_SIZE, "share")}
    size = f"{rows['neurons'].iloc[0]:,} neurons"
    harm = int(rows["harms"].sum())
    by_task = ", ".join(
        f"{task_in_words(row.task)} {row.untouched:.3g} → {row.value:.3g} ({row.low:.3g} … {row.high:.3g})"
        for row in rows.itertuples()
    )
    cost = worse * (rows["untouched"] - rows["value"])
    worst = np.where(worse > 0, rows["control_share_low"], rows["control_share_high"])
    mild = rows["harms"] & (worse * (rows["untouched"] - worst) < 0.5 * cost)
    activity = f"{rows['activity_ratio'].iloc[0]:.0%}"
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
            "blocks, nearest in activity",
            verdict(int(harms_most(rows).sum()), tasks),
            f"beyond random neurons on {counts['random']} of {tasks} tasks, beyond some in the same blocks "
            f"on {counts['per_block']}, beyond the nearest in activity on {counts['activation']}; the latter "
            f"have {activity} of the networks' activity",
        ),
        Finding(
            f"… while 15% of all neurons at random do little ({model}).",
            "harm as above, and the worst draw of 15% at random, none of them of the networks, costs less "
            "than half as much, on each task",
            verdict(int(mild.sum()), tasks),
            "untouched, 15% at random (lowest … highest of the draws), networks: "
            + ", ".join(
                f"{task_in_words(row.task)} {row.untouched:.3g}, {row.control_share_low:.3g} … "
                f"{row.control_share_high:.3g}, {row.value:.3g}"
                for row in rows.itertuples()
            ),
        ),
    ]


def functions(table: pd.DataFrame, items: pd.DataFrame, model: str) -> Finding:
    """Judge functions by double dissociation: two networks, each more harmful than the other on some task."""
    rows = one_metric_per_task(table)
    beyond = rows.assign(beyond=harms_most(rows)).pivot(index="networks", columns="task", values="beyond")
    p_values = _more_harm(rows, items, beyond)
    corrected = holm(p_values.ravel()).reshape(p_values.shape)

    def pairs(p: Array) -> int:
        """Count pairs of networks that each do more harm than the other, and than controls, on some task."""
        more = (beyond.to_numpy(dtype=bool)[:, None, :] & (p < SIGNIFICANT)).any(axis=2)
        return int(np.triu(more & more.T, 1).sum())

    n_networks, n_tasks = beyond.shape
    n_pairs = n_networks * (n_networks - 1) // 2
    return Finding(
        f"Single networks serve functions of their own ({model}).",
        "double dissociation: of two networks, each harms some task beyond every control and more than the "
        "other does (paired over items by sign flips, p < .05 after Holm over all pairs and tasks)",
        "holds" if pairs(corrected) else "not shown",
        f"{pairs(corrected)} of {n_pairs} pairs, {pairs(p_values)} without the correction; of "
        f"{n_networks * n_tasks} lesions ({n_networks} networks × {n_tasks} tasks) "
        f"{int(rows['harms'].sum())} harm, {int(beyond.to_numpy().sum())} of them beyond every control",
    )


def _more_harm(rows: pd.DataFrame, items: pd.DataFrame, beyond: pd.DataFrame) -> Array:
    """P value that network i does only as much harm as j, NaN if it does less; (i, j, task)."""
    signs = dict(zip(rows["metric"], sign(rows), strict=True))
    known = items.merge(rows[["job", "task", "metric", "networks"]], on=["job", "task", "metric"])
    p_values = np.full((len(beyond), len(beyond), beyond.shape[1]), np.nan)
    for place, task in enumerate(beyond.columns):
        scored = known[known["task"] == task]
        table = scored.pivot(index="networks", columns="item", values="value").loc[beyond.index]
        harm = -signs[scored["metric"].iloc[0]] * table.to_numpy()
        for one, other in itertools.combinations(range(len(beyond)), 2):
            difference = harm[one] - harm[other]
            worse, better = (one, other) if difference.sum() > 0 else (other, one)
            p_values[worse, better, place] = sign_flip_p_value(difference)
    return p_values


def single(table: pd.DataFrame, model: str) -> Finding:
    """Judge lesions on a single task: some networks matter, others do not."""
    rows = one_metric_per_task(table)
    clear = harms_most(rows) & (holm(rows["p_value"].to_numpy()) < SIGNIFICANT)
    numbers = ", ".join(
        f"{row.networks}: {row.neurons} neurons → {row.value:.3g}" for row in rows.itertuples()
    )
    return Finding(
        f"Single networks of few neurons impair the model ({model}).",
        f"at least one harms (p < .05 after Holm over the {len(rows)}), beyond every draw of its controls",
        "holds" if clear.any() else "not shown",
        f"{int(clear.sum())} of {len(rows)} networks; untouched {rows['untouched'].iloc[0]:.3g}; {numbers}",
    )


def preservation(table: pd.DataFrame, n_neurons: int, model: str) -> Finding:
    """Judge preservation: all neurons outside the networks set to 0."""
    rows = one_metric_per_task(table)
    few = rows[rows["neurons"] < TENTH * n_neurons]
    if rows["chance"].notna().all():
        above = few["untouched"] - few["chance"]
        # a model at chance has nothing to preserve
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
        f"{row.value:.3g} ({row.low:.3g} … {row.high:.3g}), best control {best_control(row)}"
        for row in rows.itertuples()
    )
    return Finding(
        f"Fewer than 10% of the neurons, those of the networks, preserve the model ({model}).",
        rule + ", with fewer than 10% of the neurons kept, and more than with every control",
        "holds" if (met & few["above_controls"]).any() else "does not hold",
        f"untouched {rows['untouched'].iloc[0]:.3g}; {numbers}",
    )


def amplification(table: pd.DataFrame, model: str) -> list[Finding]:
    """Judge amplification by factors above 1, chosen on dev items."""
    rows = one_metric_per_task(table)
    rows = rows.assign(corrected=holm(rows["p_value"].to_numpy()))
    together = rows[rows["networks"] == "all"]
    gains = rows[rows["helps"]]
    clear = gains[gains["above_controls"] & (gains["corrected"] < SIGNIFICANT)]

    def said(some: pd.DataFrame) -> str:
        return ", ".join(
            f"{task_in_words(row.task)} with networks {row.networks} × {row.factor:g}: {row.untouched:.3g} → "
            f"{row.value:.3g} ({row.low:.3g} … {row.high:.3g}; p = {row.p_value:.2g}, corrected "
            f"{row.corrected:.2g})"
            for row in some.itertuples()
        )

    gain = sign(together) * (together["value"] - together["untouched"])
    half = np.sqrt((((together["high"] - together["low"]) / 2) ** 2).sum()) / len(together)
    mean = float(gain.mean())
    return [
        Finding(
            f"Amplifying all networks enhances overall performance ({model}).",
            "the mean gain over tasks, at factors chosen on dev items, is above 0 with its 95% interval "
            "(from those of the tasks)",
            "holds" if mean > half else "not shown",
            f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f}); {said(together)}",
        ),
        Finding(
            f"Amplifying some networks enhances some task ({model}).",
            f"at least one gain beyond every control, p < .05 after Holm over the {len(rows)} tried",
            "holds" if len(clear) else "not shown",
            f"{len(clear)} gains; {len(gains)} with an interval above 0, not corrected"
            + (f": {said(gains)}" if len(gains) else ""),
        ),
    ]


def texts(table: pd.DataFrame) -> Finding:
    """Judge generated texts by the share that is repeated."""
    rows = table[table["metric"] == "repetition"]
    clear = rows["harms"] & (rows["p_value"] < SIGNIFICANT)
    beyond = clear & (rows["value"] > rows["control_share_high"])
    values = ", ".join(f"{row.networks}: {row.value:.2f}" for row in rows.itertuples())
    return Finding(
        "Texts fall apart with a network at 0, and not with 15% of all neurons at random (base model).",
        "more of the text repeats itself than untouched (p < .05 by sign flips), and than with 15% at "
        "random, for each network",
        verdict(int(beyond.sum()), len(rows)) if beyond.any() else "not shown",
        f"share of repeated trigrams: untouched {rows['untouched'].iloc[0]:.2f}, 15% at random "
        f"{rows['control_share_low'].min():.2f} … {rows['control_share_high'].max():.2f}, networks {values}; "
        f"{int(clear.sum())} of {len(rows)} differ from untouched, {int(rows['harms'].sum())} by the "
        "interval alone, which so few prompts make too narrow; p cannot be below "
        f"{2 * 0.5 ** rows['n'].min():.2g} with {rows['n'].min()}",
    )


def all_findings(results: Results, n_neurons: int) -> list[Finding]:
    """Judge every claim for which steps were run."""
    base, tuned = "base model", "fine-tuned classifier"
    makers: list[tuple[str, Callable[[pd.DataFrame], Finding | list[Finding]]]] = [
        ("consistency", lambda table: recurrence(table, base)),
        ("consistency_stable", lambda table: recurrence(table, f"{base}, signals=stable")),
        ("tuned_consistency", lambda table: recurrence(table, tuned)),
        ("lesion", lambda table: lesions(table, base)),
        (
            "lesion_rotation",
            lambda table: lesions(table, f"{base}, a random rotation instead of ICA")[:2],
        ),
        ("lesion_stable", lambda table: lesions(table, f"{base}, signals=stable")[:2]),
        ("tuned_lesion", lambda table: lesions(table, tuned)),
        ("lesion_single", lambda table: functions(table, results.items("lesion_single"), base)),
        ("tuned_lesion_single", lambda table: single(table, tuned)),
        ("generation", texts),
        ("preservation", lambda table: preservation(table, n_neurons, base)),
        ("tuned_preservation", lambda table: preservation(table, n_neurons, tuned)),
        ("amplification", lambda table: amplification(table, base)),
        ("tuned_amplification", lambda table: amplification(table, tuned)),
    ]
    findings: list[Finding] = []
    for step, make in makers:
        if results.has(step):
            made = make(results.paper(step))
            findings += made if isinstance(made, list) else [made]
    return findings
