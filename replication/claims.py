"""Judge the paper's claims one by one, by rules that the document states."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from beside import energy_in_words, seeing

from fbn_exp.benchmarks.inference.families import holm
from fbn_exp.experiments.paper.rules import (
    Finding,
    against_untouched,
    best_control,
    draws_in_words,
    not_reproduced,
    one_metric_per_task,
    place,
    sign,
    task_in_words,
    verdict,
)
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT

# a network preserves a task if it keeps this share of the untouched score above chance
PRESERVED = 0.95
# the paper keeps a smaller share of all neurons than this
TENTH = 0.10
# part of the networks' cost below which that of random neurons is little
MILD = 0.5
# kinds of control that are other neurons, in words
NEURONS = {
    ControlKind.random: "random ones",
    ControlKind.per_block: "some in the same blocks",
    ControlKind.activation: "the nearest in activity",
}


def recurrence(table: pd.DataFrame, where: str, what: str = "") -> list[Finding]:
    """Judge that networks recur: matches beside all chance levels, and each with its own template."""
    above = table["p_value"] < SIGNIFICANT
    chance = table.filter(regex="^chance_").max(axis=1)
    numbers = "; ".join(
        f"{row.corpus}: {row.matches:,} matches of {row.templates * row.individual:,} pairs, by chance "
        f"{expected:.1f} (p = {row.p_value:.2g}), {row.above_chance} of {row.templates} templates above "
        "chance"
        for row, expected in zip(table.itertuples(), chance, strict=True)
    )
    place_ = f"{where}, {', '.join(table['corpus'])}"
    recurring, templates = int(table["above_chance"].sum()), int(table["templates"].sum())
    said = verdict(int(above.sum()), len(table), place_)
    if said == "reproduced" and recurring < templates:
        said = f"reproduced in part ({recurring} of {templates} templates)"
    elif recurring and said.startswith("not reproduced"):
        said += f"; {recurring} of {templates} templates do"
    own = table["specificity_p"] < SIGNIFICANT
    specific = "; ".join(
        f"{row.corpus}: {row.specificity:.3f}, rotations {row.specificity_chance:.3f} "
        f"(p = {row.specificity_p:.2g})"
        for row in table.itertuples()
    )
    return [
        Finding(
            f"The same networks recur in other texts{what}.",
            "more matches (IoU > .2) than under every null of analysis=consistency (random masks, shifted "
            "signals, equal degrees, rotations), p < .05, on each corpus; in part if single templates do not",
            said,
            numbers,
        ),
        Finding(
            f"Networks of other texts are on average more like their own templates than the others{what}.",
            "IoU with the matched template less that with the others, above that of rotations of each text's "
            "networks, p < .05, on each corpus",
            verdict(int(own.sum()), len(table), place_),
            specific,
        ),
    ]


def harm(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks harms."""
    rows = one_metric_per_task(table)
    by_task = ", ".join(
        f"{task_in_words(row.task)} {row.untouched:.3g} → {row.value:.3g} ({row.low:.3g} … {row.high:.3g})"
        for row in rows.itertuples()
    )
    return Finding(
        f"Setting all networks to 0 impairs the model{what}.",
        "the 95% interval of the paired difference excludes 0, on each task",
        verdict(int(rows["harms"].sum()), len(rows), place(where, rows), against_untouched(rows)),
        f"{rows['neurons'].iloc[0]:,} neurons; {by_task}",
    )


def beyond_neurons(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks does more harm than one of other neurons."""
    rows = one_metric_per_task(table)
    kinds = [kind for kind in NEURONS if f"p_worse_{kind}" in rows]
    worst = rows[[f"p_worse_{kind}" for kind in kinds]].max(axis=1, skipna=False)
    more = rows["harms"] & (worst <= SIGNIFICANT)
    counts = ", ".join(
        f"than {NEURONS[kind]} on {int((rows['harms'] & (rows[f'p_worse_{kind}'] <= SIGNIFICANT)).sum())}"
        for kind in kinds
    )
    seen = rows[[f"detectable_{kind}" for kind in kinds]].max(axis=1)
    said = verdict(int(more.sum()), len(rows), place(where, rows), seeing(rows, seen))
    energies = energy_in_words(rows, kinds)
    of = f", of {energies}" if energies else ""
    return Finding(
        f"Setting all networks to 0 impairs the model more than setting other neurons does{what}.",
        "harm as above, and worse than the draws of each kind of other neurons, p = (1 + b) / (1 + R) ≤ .05 "
        "one-sided; not shown where half of the networks' own harm could not have been seen",
        f"{said}, by number: the others hold {energies}"
        if energies and said.startswith("reproduced")
        else said,
        f"{draws_in_words(rows)}{of}; worse, of {len(rows)} tasks, {counts}; the nearest in activity have "
        f"{rows['activity_ratio'].iloc[0]:.0%} of the networks' activity",
    )


def beyond_rotations(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks does more harm than one of rotations of the same subspace."""
    rows = one_metric_per_task(table)
    p_values = rows["p_worse_rotation"]
    more = rows["harms"] & (p_values <= SIGNIFICANT)
    numbers = ", ".join(
        f"{task_in_words(row.task)} {row.value:.3g}, rotations {row.control_rotation_low:.3g} … "
        f"{row.control_rotation_high:.3g} (p = {row.p_worse_rotation:.2g})"
        for row in rows.itertuples()
    )
    return Finding(
        f"Setting all networks to 0 impairs the model more than setting networks of rotations does{what}.",
        "harm as above, and worse than the draws of rotations, p ≤ .05 one-sided, on each task; not shown "
        "where half of the networks' own harm could not have been seen",
        verdict(int(more.sum()), len(rows), place(where, rows), seeing(rows, rows["detectable_rotation"])),
        f"{numbers}; rotations remove {energy_in_words(rows, [ControlKind.rotation]) or 'unknown energy'}",
    )


def mild_share(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of 15% of all neurons costs little beside that of the networks."""
    rows = one_metric_per_task(table)
    worse = sign(rows)
    cost = worse * (rows["untouched"] - rows["value"])
    part = worse * (rows["untouched"] - rows["control_share"]) / cost
    mild = rows["harms"] & (part < MILD)
    return Finding(
        f"Setting 15% of all neurons to 0, at random, does little beside that{what}.",
        "harm as above, and draws of 15% at random, none of them of the networks, cost on average less than "
        "half as much, on each task",
        verdict(int(mild.sum()), len(rows), place(where, rows), against_untouched(rows[~rows["harms"]])),
        "untouched, 15% at random (mean; lowest … highest of the draws), networks: "
        + ", ".join(
            f"{task_in_words(row.task)} {row.untouched:.3g}, {row.control_share:.3g} "
            f"({row.control_share_low:.3g} … {row.control_share_high:.3g}), {row.value:.3g}: {of_cost:.0%} "
            "of the cost"
            for row, of_cost in zip(rows.itertuples(), part, strict=True)
        ),
    )


def preservation(table: pd.DataFrame, n_neurons: int, where: str) -> Finding:
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
        "Fewer than 10% of the neurons, those of the networks, preserve the model.",
        rule + ", with fewer than 10% of the neurons kept, and more than with draws of each control, p ≤ .05",
        "reproduced"
        if (met & few["above_controls"]).any()
        else not_reproduced(place(where, rows), against_untouched(few)),
        f"untouched {rows['untouched'].iloc[0]:.3g}; {draws_in_words(rows)}; {numbers}",
    )


def amplification(table: pd.DataFrame, where: str, what: str = "") -> list[Finding]:
    """Judge amplification by factors above 1, chosen on dev items."""
    rows = one_metric_per_task(table)
    rows = rows.assign(corrected=holm(rows["p_value"].to_numpy()))
    together = rows[rows["networks"] == "all"]
    gains = rows[rows["helps"]]

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
    beyond = [_beyond_others(rows, what, where, said(gains))]
    if "p_better_rotation" in rows:
        beyond.append(_beyond_turned(rows, what, where))
    return [
        Finding(
            f"Amplifying all networks enhances performance{what}.",
            "the mean gain over tasks, at factors chosen on dev items, is above 0 with its 95% interval "
            "(from those of the tasks)",
            "reproduced" if mean > half else not_reproduced(place(where, together), [seen]),
            f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f}); {said(together)}",
        ),
        *beyond,
    ]


def _beyond_others(rows: pd.DataFrame, what: str, where: str, said: str) -> Finding:
    """Judge that gains are beyond those of other neurons, each at the factor that was chosen for it."""
    kinds = [kind for kind in NEURONS if f"p_worse_{kind}" in rows]
    gains = rows[rows["helps"]]
    clear = gains[_above(gains, kinds) & (gains["corrected"] < SIGNIFICANT)]
    energies = energy_in_words(gains if len(gains) else rows, kinds)
    verdict_ = "reproduced" if len(clear) else not_reproduced(place(where, rows), against_untouched(rows))
    return Finding(
        f"Amplifying networks enhances performance more than amplifying other neurons does{what}.",
        "at least one gain beyond draws of each kind of control, each at the factor chosen for it (p ≤ .05), "
        f"p < .05 after Holm over the {len(rows)} tried",
        f"{verdict_}, by number: the others hold {energies}" if energies and len(clear) else verdict_,
        f"{len(clear)} gains; {len(gains)} with an interval above 0, not corrected"
        + (f": {said}" if said else ""),
    )


def _above(rows: pd.DataFrame, kinds: Sequence[ControlKind]) -> "pd.Series[bool]":
    """Whether results exceed draws of each kind; tables of earlier code say so of all kinds at once."""
    names = [f"p_better_{kind}" for kind in kinds]
    if not set(names) <= set(rows):
        return rows["above_controls"].astype(bool)
    return rows[names].max(axis=1, skipna=False) <= SIGNIFICANT


def _beyond_turned(rows: pd.DataFrame, what: str, where: str) -> Finding:
    """Judge that gains are beyond those of rotations of the same subspace, which hold as much energy."""
    kinds = [ControlKind.rotation]
    above = rows["helps"] & _above(rows, kinds) & (rows["corrected"] < SIGNIFICANT)
    numbers = ", ".join(
        f"{task_in_words(row.task)} {row.value:.3g}, rotations {row.control_rotation_low:.3g} … "
        f"{row.control_rotation_high:.3g} (p = {row.p_better_rotation:.2g})"
        for row in rows.itertuples()
    )
    return Finding(
        f"Amplifying networks enhances performance more than amplifying networks of rotations does{what}.",
        "at least one gain beyond draws of rotations, each at the factor chosen for it (p ≤ .05), "
        f"p < .05 after Holm over the {len(rows)} tried",
        "reproduced" if above.any() else not_reproduced(place(where, rows), rows["detectable_rotation"]),
        f"{numbers}; rotations add {energy_in_words(rows, kinds) or 'unknown energy'}",
    )


def texts(table: pd.DataFrame, share: pd.DataFrame, where: str) -> list[Finding]:
    """Judge generated texts by the share that is repeated, beside texts with 15% of all neurons at 0."""
    rows = table[table["metric"] == "repetition"]
    (other,) = share[share["metric"] == "repetition"].to_dict("records")
    clear = rows["harms"] & (holm(rows["p_value"].to_numpy()) < SIGNIFICANT)
    beyond = clear & (rows["value"] > other["control_share_high"])
    values = ", ".join(f"{row.networks}: {row.value:.2f}" for row in rows.itertuples())
    untouched, low = other["untouched"], other["control_share_low"]
    on = f"{where}, written texts"
    return [
        Finding(
            "Texts fall apart with a network at 0, and more than with 15% of all neurons at random.",
            "more of the text repeats itself than untouched (p < .05 by sign flips, Holm over networks), and "
            "than with each draw of 15% at random, for each network",
            verdict(int(beyond.sum()), len(rows), on, against_untouched(rows[~clear])),
            f"share of repeated trigrams in {rows['n'].min()} texts: untouched "
            f"{rows['untouched'].iloc[0]:.2f}, networks {values}; {int(clear.sum())} of {len(rows)} repeat "
            f"more than untouched, {int(beyond.sum())} more than every draw",
        ),
        Finding(
            "Texts do not fall apart with 15% of all neurons at 0, at random.",
            "not every one of the draws repeats more than untouched",
            "reproduced" if low <= untouched else f"not reproduced on {on}",
            f"share of repeated trigrams: untouched {untouched:.2f}, draws of 15% {low:.2f} … "
            f"{other['control_share_high']:.2f}",
        ),
    ]
