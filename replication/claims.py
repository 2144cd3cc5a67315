"""Judge the paper's claims one by one, by rules that the document states."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from dissociation import functions
from results import Results

from fbn_exp.benchmarks.inference.families import holm
from fbn_exp.experiments.paper.rules import (
    Finding,
    against_untouched,
    beside_controls,
    best_control,
    draws_in_words,
    harms_most,
    not_reproduced,
    one_metric_per_task,
    place,
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
        verdict(int(above.sum()), len(table), f"{model}, {', '.join(table['corpus'])}"),
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
    where = place(model, rows)
    return [
        Finding(
            f"Setting all networks to 0 impairs the model ({model}).",
            "the 95% interval of the paired difference excludes 0, on each task",
            verdict(harm, tasks, where, against_untouched(rows)),
            f"{size}; {by_task}",
        ),
        Finding(
            f"… more than other neurons do ({model}).",
            "harm as above, and worse than the draws of each kind of control, p = (1 + b) / (1 + R) ≤ .05 "
            "one-sided",
            verdict(int(harms_most(rows).sum()), tasks, where, beside_controls(rows)),
            f"{draws_in_words(rows)}; worse than every draw of random neurons on {counts['random']} "
            f"of {tasks} tasks, of some in the same blocks on {counts['per_block']}, of the nearest in "
            f"activity on {counts['activation']}; the latter have {activity} of the networks' activity",
        ),
        Finding(
            f"… while 15% of all neurons at random do little ({model}).",
            "harm as above, and the worst draw of 15% at random, none of them of the networks, costs less "
            "than half as much, on each task",
            verdict(int(mild.sum()), tasks, where, against_untouched(rows)),
            "untouched, 15% at random (lowest … highest of the draws), networks: "
            + ", ".join(
                f"{task_in_words(row.task)} {row.untouched:.3g}, {row.control_share_low:.3g} … "
                f"{row.control_share_high:.3g}, {row.value:.3g}"
                for row in rows.itertuples()
            ),
        ),
    ]


def single(table: pd.DataFrame, model: str) -> Finding:
    """Judge lesions on a single task: some networks matter, others do not."""
    rows = one_metric_per_task(table)
    clear = harms_most(rows) & (holm(rows["p_value"].to_numpy()) < SIGNIFICANT)
    numbers = ", ".join(
        f"{row.networks}: {row.neurons} neurons → {row.value:.3g}" for row in rows.itertuples()
    )
    return Finding(
        f"Single networks of few neurons impair the model ({model}).",
        f"at least one harms (p < .05 after Holm over the {len(rows)}), and more than draws of each kind of "
        "control (p ≤ .05)",
        "holds" if clear.any() else not_reproduced(place(model, rows), beside_controls(rows)),
        f"{int(clear.sum())} of {len(rows)} networks; {draws_in_words(rows)}; untouched "
        f"{rows['untouched'].iloc[0]:.3g}; {numbers}",
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
        rule + ", with fewer than 10% of the neurons kept, and more than with draws of each control, p ≤ .05",
        "holds"
        if (met & few["above_controls"]).any()
        else not_reproduced(place(model, rows), against_untouched(few)),
        f"untouched {rows['untouched'].iloc[0]:.3g}; {draws_in_words(rows)}; {numbers}",
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
    # 1.96 standard errors to exclude 0, and .84 more for a power of 80%
    seen = half * 2.80 / 1.96 if half > 0 else float("nan")
    return [
        Finding(
            f"Amplifying all networks enhances overall performance ({model}).",
            "the mean gain over tasks, at factors chosen on dev items, is above 0 with its 95% interval "
            "(from those of the tasks)",
            "holds" if mean > half else not_reproduced(place(model, together), [seen]),
            f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f}); {said(together)}",
        ),
        Finding(
            f"Amplifying some networks enhances some task ({model}).",
            "at least one gain beyond draws of each kind of control (p ≤ .05), p < .05 after Holm over the "
            f"{len(rows)} tried",
            "holds" if len(clear) else not_reproduced(place(model, rows), against_untouched(rows)),
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
        verdict(int(beyond.sum()), len(rows), "base model, written texts", against_untouched(rows)),
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
