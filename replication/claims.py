"""Judge the paper's claims one by one, by rules that the document states."""

import pandas as pd
from beside import by_number, energy_in_words, p_of_count, rotations_in_words, seeing, verdict_beside

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
# share of repeated trigrams, beyond the untouched one, at which texts fall apart
APART = 0.1
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
    elif said.startswith("not reproduced") and p_of_count(recurring, templates) < SIGNIFICANT:
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
            "signals, equal degrees, rotations), p < .05, on each corpus; in part if single templates do "
            "not; single ones (p < .05 each) are named where all together do not, if more do than by chance",
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


def _harmful(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one metric for each task; a lesion harms if both its interval and its p say so."""
    rows = one_metric_per_task(table)
    return rows.assign(harms=rows["harms"] & (rows["p_value"] < SIGNIFICANT))


def harm(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks harms."""
    rows = _harmful(table)
    by_task = ", ".join(
        f"{task_in_words(row.task)} {row.untouched:.3g} → {row.value:.3g} ({row.low:.3g} … {row.high:.3g})"
        for row in rows.itertuples()
    )
    return Finding(
        f"Setting all networks to 0 impairs the model{what}.",
        "the 95% interval of the paired difference excludes 0, and p < .05, on each task",
        verdict(int(rows["harms"].sum()), len(rows), place(where, rows), against_untouched(rows)),
        f"{rows['neurons'].iloc[0]:,} neurons; {by_task}",
    )


def beyond_neurons(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks does more harm than one of other neurons."""
    rows = _harmful(table)
    kinds = [kind for kind in NEURONS if f"p_worse_{kind}" in rows]
    worst = rows[[f"p_worse_{kind}" for kind in kinds]].max(axis=1, skipna=False)
    more = rows["harms"] & (worst <= SIGNIFICANT)
    counts = ", ".join(
        f"than {NEURONS[kind]} on {int((rows['harms'] & (rows[f'p_worse_{kind}'] <= SIGNIFICANT)).sum())}"
        for kind in kinds
    )
    seen = rows[[f"detectable_{kind}" for kind in kinds]].max(axis=1)
    said = verdict_beside(more, place(where, rows), seeing(rows, seen))
    energies = energy_in_words(rows, kinds)
    of = f", of {energies}" if energies else ""
    return Finding(
        f"Setting all networks to 0 impairs the model more than setting other neurons does{what}.",
        "harm as above, and worse than the draws of each kind of other neurons, p = (1 + b) / (1 + R) ≤ .05 "
        "one-sided, on each task; in part if on more of them than by chance (binomial p < .05); not shown "
        "where half of the networks' own harm could not have been seen",
        by_number(said, energies),
        f"{draws_in_words(rows)}{of}; worse, of {len(rows)} tasks, {counts}; the nearest in activity have "
        f"{rows['activity_ratio'].iloc[0]:.0%} of the networks' activity",
    )


def beyond_rotations(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of all networks does more harm than one of rotations of the same subspace."""
    rows = _harmful(table)
    more = rows["harms"] & (rows["p_worse_rotation"] <= SIGNIFICANT)
    return Finding(
        f"Setting all networks to 0 impairs the model more than setting networks of rotations does{what}.",
        "harm as above, and worse than the draws of rotations, p ≤ .05 one-sided, on each task; in part if "
        "on more of them than by chance (binomial p < .05); not shown where half of the networks' own harm "
        "could not have been seen",
        verdict_beside(more, place(where, rows), seeing(rows, rows["detectable_rotation"])),
        rotations_in_words(rows, "p_worse_rotation", "remove"),
    )


def mild_share(table: pd.DataFrame, where: str, what: str = "") -> Finding:
    """Judge that a lesion of 15% of all neurons costs little beside that of the networks."""
    rows = _harmful(table)
    worse = sign(rows)
    cost = worse * (rows["untouched"] - rows["value"])
    part = worse * (rows["untouched"] - rows["control_share"]) / cost
    # the draw that harms most
    hardest = rows["control_share_low"].where(worse > 0, rows["control_share_high"])
    mild = rows["harms"] & (part < MILD) & (worse * rows["value"] < worse * hardest)
    return Finding(
        f"Setting 15% of all neurons to 0, at random, does little beside that{what}.",
        "harm as above, and draws of 15% at random, none of them of the networks, cost on average less than "
        "half as much, and none of them as much, on each task",
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
    judged = " and ".join(str(number) for number in few["components"])
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
        f"judged with {judged or 'no'} networks, which hold fewer; untouched "
        f"{rows['untouched'].iloc[0]:.3g}; {draws_in_words(rows)}; {numbers}",
    )


def texts(table: pd.DataFrame, share: pd.DataFrame, where: str) -> list[Finding]:
    """Judge generated texts by the share that is repeated, beside texts with 15% of all neurons at 0."""
    rows = table[table["metric"] == "repetition"]
    (other,) = share[share["metric"] == "repetition"].to_dict("records")
    clear = rows["harms"] & (holm(rows["p_value"].to_numpy()) < SIGNIFICANT)
    beyond = clear & (rows["value"] > other["control_share_high"])
    values = ", ".join(f"{row.networks}: {row.value:.2f}" for row in rows.itertuples())
    untouched, low, high = other["untouched"], other["control_share_low"], other["control_share_high"]
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
            f"each of the draws repeats at most {APART} more than untouched; not reproduced if each repeats "
            "more than that, else not decided",
            "reproduced"
            if high <= untouched + APART
            else f"not reproduced on {on}"
            if low > untouched + APART
            else f"not decided on {on}: some draws repeat much more, others do not",
            f"share of repeated trigrams: untouched {untouched:.2f}, draws of 15% {low:.2f} … {high:.2f}",
        ),
    ]
