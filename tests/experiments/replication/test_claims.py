"""Verdicts on hand-made results: each rule is met, missed, and met in part."""

import numpy as np
import pandas as pd
import pytest
from amplified import amplification
from claims import (
    beyond_neurons,
    beyond_rotations,
    harm,
    mild_share,
    preservation,
    recurrence,
    texts,
)
from dissociation import functions
from scipy.stats import mannwhitneyu
from single_networks import single


def row(
    task="a",
    value=0.5,
    untouched=0.9,
    half=0.1,
    networks="all",
    metric="acc",
    control=0.85,
    share=0.8,
    **more,
):
    """One line as ``fbn_exp.experiments.paper`` writes it."""
    sign = -1 if metric == "nats_per_token" else 1
    delta = sign * (value - untouched)
    found = {
        "task": task,
        "metric": metric,
        "networks": networks,
        "neurons": 50,
        "factor": 0.0,
        "components": 10,
        "chance": 0.5,
        "value": value,
        "untouched": untouched,
        "low": value - half,
        "high": value + half,
        "p_value": 0.001 if abs(delta) > half else 0.2,
        "n": 400,
        "draws": 19.0,
        "detectable": 0.14,
        "detectable_beside": 0.06,
        "activity_ratio": 0.8,
        "control_share": share,
        "control_share_low": share,
        "control_share_high": share,
        "harms": delta < -half,
        "helps": delta > half,
        "below_controls": sign * value < sign * control,
        "above_controls": sign * value > sign * control,
    }
    for kind in ("random", "per_block", "activation", "rotation"):
        found |= {f"control_{kind}{end}": control for end in ("", "_low", "_high")}
        found |= {
            f"p_worse_{kind}": 0.05 if sign * value < sign * control else 0.6,
            f"p_better_{kind}": 0.05 if sign * value > sign * control else 0.6,
            f"detectable_{kind}": 0.06,
        }
    return found | more


def lesions(rows, model):
    """Verdicts on harm, more harm than other neurons, than rotations, and 15% at random."""
    table = pd.DataFrame(rows)
    return [make(table, model) for make in (harm, beyond_neurons, beyond_rotations, mild_share)]


def verdicts(findings):
    return [each.verdict for each in findings]


NOT_BESIDE = "not reproduced on model, a, which could have seen an effect of 0.06"
NOT_AT_ALL = "not reproduced on model, a, which could have seen an effect of 0.14"


def test_a_lesion_that_does_what_the_paper_says():
    assert verdicts(lesions([row(), row("b")], "model")) == ["reproduced"] * 4


def test_a_lesion_that_equally_active_neurons_do_as_well_is_no_more_than_theirs():
    harmed, more, rotated, share = lesions([row(control=0.45)], "model")
    assert [harmed.verdict, more.verdict, share.verdict] == ["reproduced", NOT_BESIDE, "reproduced"]
    assert rotated.verdict == NOT_BESIDE
    assert more.numbers.startswith(
        "19 draws of each kind (p ≥ 0.05); worse, of 1 tasks, than random ones on 0"
    )
    _, more, rotated, _ = lesions([row(p_worse_activation=0.3)], "model")
    assert (more.verdict, rotated.verdict) == (NOT_BESIDE, "reproduced")
    assert "than random ones on 1, than some in the same blocks on 1, than the nearest in activity on 0" in (
        more.numbers
    )
    assert "have 80% of the networks" in more.numbers


def test_one_task_of_three_beside_rotations_may_be_chance():
    rows = [row(), row("b", p_worse_rotation=0.4), row("c", p_worse_rotation=0.4)]
    _, _, rotated, _ = lesions(rows, "model")
    assert rotated.verdict == "not reproduced on model, 3 tasks, which could have seen an effect of 0.06"
    _, _, rotated, _ = lesions([row(), row("b"), row("c", p_worse_rotation=0.4)], "model")
    assert rotated.verdict == "reproduced in part (2 of 3)"


def test_an_interval_without_a_p_is_no_harm():
    assert verdicts(lesions([row(p_value=0.11)], "model"))[0] == NOT_AT_ALL


def test_rotations_are_judged_apart_from_other_neurons():
    _, more, rotated, _ = lesions([row(p_worse_rotation=0.4)], "model")
    assert (more.verdict, rotated.verdict) == ("reproduced", NOT_BESIDE)


def test_kinds_that_were_not_drawn_are_not_asked_for():
    table = pd.DataFrame([row()]).drop(columns=["p_worse_per_block", "detectable_per_block"])
    found = beyond_neurons(table, "model")
    assert found.verdict == "reproduced"
    assert "same blocks" not in found.numbers


def test_random_neurons_that_cost_more_than_half_contradict_the_paper():
    *_, share = lesions([row(share=0.6), row("b")], "model")
    assert share.verdict == "reproduced in part (1 of 2)"
    # nor is it little if a single draw costs as much as the networks do
    *_, share = lesions([row(control_share_low=0.4)], "model")
    assert share.verdict == "not reproduced on model, a"
    # nor does it count that random neurons cost little where the networks cost nothing
    *_, share = lesions([row(value=0.95)], "model")
    assert share.verdict == NOT_AT_ALL


def test_what_may_be_no_harm_is_not_more_harm_than_that_of_others():
    found = lesions([row(value=0.85, control=0.88, share=0.89)], "model")
    assert verdicts(found) == [NOT_AT_ALL, NOT_BESIDE, NOT_BESIDE, NOT_AT_ALL]


def test_so_few_draws_that_nothing_can_be_shown_are_no_evidence_against():
    blind = {
        f"{name}_{kind}": value
        for kind in ("random", "per_block", "activation")
        for name, value in (("p_worse", 1 / 6), ("detectable", np.inf))
    }
    _, more, _, _ = lesions([row(draws=5.0, **blind)], "model")
    assert more.verdict == "not shown on model, a, where no likely effect could have been seen"


def test_a_loss_that_rises_is_harm():
    rows = [row(metric="nats_per_token", value=9.0, untouched=3.0, control=4.0, share=3.5, chance=np.nan)]
    assert verdicts(lesions(rows, "model")) == ["reproduced"] * 4


def crossed(values, rotations=(), n_items=400):
    """Four lesions, networks 0 and 1, tasks a and b; items, the first of which are right; items of rotations.

    Each rotation is a pair of values, of tasks a and b.
    """
    names = [(network, task) for network in "01" for task in "ab"]
    rows, items = [], []

    def right(value):
        return (np.arange(n_items) < round(value * n_items)) * 1.0

    for (network, task), value in zip(names, values, strict=True):
        rows.append(row(task, value=value, networks=network, job=int(network), n=n_items, chance=0.2))
        one = {"job": int(network), "task": task, "metric": "acc", "item": range(n_items)}
        items.append(pd.DataFrame({**one, "value": right(value), "baseline": 1.0}))
    draws = [
        pd.DataFrame(
            {
                **{"job": job, "task": task, "metric": "acc", "kind": "rotation", "item": range(n_items)},
                **{f"draw_{draw}": right(values[place]) for draw, values in enumerate(rotations)},
            }
        )
        for job in (0, 1)
        for place, task in enumerate("ab")
    ]
    return pd.DataFrame(rows), pd.concat(items), pd.concat(draws) if rotations else pd.DataFrame()


CROSSED = [0.4, 0.9, 0.9, 0.4]


def test_two_networks_that_each_harm_another_task_are_a_double_dissociation():
    found = functions(*crossed(CROSSED), "model")
    assert found.verdict == (
        "not decided on model, a, b: networks differ, and whether rotations of them do was not asked"
    )
    assert found.numbers.startswith("1 of 1 pairs, 1 without the correction; rotations were not scored")
    assert "a pair of effects of 0.09 is found in four of five cases, with 400 items" in found.numbers


def test_networks_serve_functions_only_if_rotations_dissociate_less_often():
    alike = [(0.4, 0.4)] * 50
    found = functions(*crossed(CROSSED, alike), "model")
    assert found.verdict == "reproduced"
    assert "0 at the rate of 50 rotations that leave a task above chance" in found.numbers
    as_often = functions(*crossed(CROSSED, [(0.4, 0.9), (0.9, 0.4)] * 5), "model")
    assert as_often.verdict.startswith(
        "not reproduced on model, a, b: networks differ, and rotations of them no less often (p = 0."
    )
    # of ten rotations 25 of 45 pairs dissociate
    assert "0.556 at the rate of 10 rotations" in as_often.numbers


def test_rotations_that_leave_nothing_above_chance_are_left_out():
    found = functions(*crossed(CROSSED, [(0.2, 0.2)] * 9 + [(0.4, 0.9), (0.9, 0.4)]), "model")
    assert "1 at the rate of 2 rotations that leave a task above chance" in found.numbers


def test_few_items_are_not_judged_and_the_power_is_said():
    few = functions(*crossed(CROSSED, n_items=40), "model")
    assert few.verdict.startswith(
        "not shown on model, a, b: 40 items of a task are too few, a pair of effects"
    )
    assert few.numbers.startswith("1 of 1 pairs")


def test_networks_that_leave_nothing_above_chance_are_left_out():
    found = functions(*crossed([0.2, 0.2, 0.9, 0.4]), "model")
    assert found.verdict == "not shown on model, a, b: 1 of 2 networks leave no task above chance"


@pytest.mark.parametrize(
    "values",
    [
        [0.4, 0.4, 0.4, 0.4],  # both harm everything alike
        [0.4, 1.0, 1.0, 1.0],  # only one harms anything
        [0.4, 0.9, 0.405, 0.4],  # a harms more on one task, by two items
        [0.4, 0.3, 0.9, 0.9],  # one harms more on both
    ],
)
def test_what_is_less_than_a_crossing_is_no_dissociation(values):
    found = functions(*crossed(values), "model").verdict
    assert found.startswith(
        "not reproduced on model, a, b: a pair of effects of 0.09 is found in four of five"
    )


def alone(values, draws_below):
    """Lesions of single networks, and how many of 19 rotations harm as much as each."""
    rows = [
        row(networks=str(place), value=value, p_worse_rotation=(1 + below) / 20)
        for place, (value, below) in enumerate(zip(values, draws_below, strict=True))
    ]
    return pd.DataFrame(rows)


def test_single_networks_are_judged_by_harm_then_beside_neurons_and_rotations():
    found = verdicts(single(alone([0.5] * 10, [0] * 10), "model"))
    assert found == ["reproduced"] * 3
    # every rotation harms more than any network
    *_, turned = single(alone([0.5] * 10, [19] * 10), "model")
    assert turned.verdict.startswith("not reproduced on model, a")
    assert turned.numbers.startswith("p = 1;")
    # of ten tries, one with p = .01 is none
    tried = alone([0.5] * 10, [0] * 10).assign(p_value=[0.01] + [0.5] * 9)
    assert single(tried, "model")[0].verdict == NOT_AT_ALL


def test_p_beside_rotations_is_that_of_the_rank_sum_test():
    generator = np.random.default_rng(0)
    own, draws = generator.normal(0.5, 1, 10), generator.normal(0, 1, 19)
    below = [(draws >= value).sum() for value in own]
    *_, turned = single(alone(0.9 - own, below), "model")
    expected = mannwhitneyu(own, draws, alternative="greater", method="exact").pvalue
    assert turned.numbers.startswith(f"p = {expected:.2g};")


def test_one_network_in_ten_beyond_the_nearest_neurons_may_be_chance():
    rows = alone([0.5] * 10, [0] * 10).assign(p_worse_activation=[0.05] + [0.5] * 9)
    _, near, _ = single(rows, "model")
    assert near.verdict.startswith("not reproduced on model, a")
    _, near, _ = single(rows.assign(p_worse_activation=[0.05] * 3 + [0.5] * 7), "model")
    assert near.verdict == "reproduced in part (3 of 10)"


def test_what_would_have_to_be_half_of_the_harm_is_not_shown():
    _, _, rotated, _ = lesions([row(p_worse_rotation=0.4, detectable_rotation=0.3)], "model")
    assert rotated.verdict == "not shown on model, a, where no likely effect could have been seen"


def test_the_energy_of_other_neurons_stands_beside_what_they_do():
    sizes = {"energy": 100.0, "control_random_energy": 0.04, "control_activation_energy": 5.0}
    _, more, rotated, _ = lesions([row(**sizes, control_rotation_energy=98.0)], "model")
    assert more.verdict == "reproduced, by number: the others hold 0.04% to 5.00% of the energy"
    assert rotated.numbers.endswith("rotations remove 98% of the energy")


def test_balanced_accuracy_stands_in_for_accuracy_where_there_is_one():
    rows = [row(metric="acc", value=0.2), row(metric="balanced_acc", value=0.88)]
    assert harm(pd.DataFrame(rows), "model").verdict == NOT_AT_ALL


def test_preservation_asks_for_few_neurons_and_nearly_the_whole_score_above_chance():
    kept = row(value=0.89, neurons=90, factor=np.nan)  # (.89 - .5) / (.9 - .5) = .975
    many = row(value=0.89, neurons=200, factor=np.nan)
    lost = row(value=0.87, neurons=90, factor=np.nan)  # .925
    assert preservation(pd.DataFrame([kept]), 1_000, "model").verdict == "reproduced"
    assert preservation(pd.DataFrame([many, lost]), 1_000, "model").verdict == NOT_AT_ALL
    idle = row(value=0.5, untouched=0.5, neurons=90, factor=np.nan)
    assert preservation(pd.DataFrame([idle]), 1_000, "model").verdict == NOT_AT_ALL
    loss = {"metric": "nats_per_token", "chance": np.nan, "untouched": 3.0, "control": 9.0, "factor": np.nan}
    assert preservation(pd.DataFrame([row(value=3.1, **loss)]), 1_000, "model").verdict == "reproduced"
    assert preservation(pd.DataFrame([row(value=9.0, **loss)]), 1_000, "model").verdict == NOT_AT_ALL


def test_an_overall_gain_is_that_of_the_mean_and_a_specific_one_is_beyond_every_control():
    gain = row(value=1.05, half=0.1, factor=1.5)
    none = row("b", value=0.9, half=0.05, factor=1.1, control=0.9)
    alone = row("b", value=1.05, networks="0", factor=1.1, control=1.1)
    overall, specific, _ = amplification(pd.DataFrame([gain, none, alone]), "model")
    # .15 ± .1 and 0 ± .05: .075 ± .056
    assert (overall.verdict, specific.verdict) == ("reproduced", "reproduced")
    assert overall.numbers.startswith("+0.075 (+0.019 … +0.131)")
    assert specific.numbers.startswith("1 gains; 2 with an interval above 0")
    overall, specific, _ = amplification(pd.DataFrame([none, alone]), "model")
    # half the interval of the mean is .056: the effect is 2.8 / 1.96 of it
    assert overall.verdict == "not reproduced on model, b, which could have seen an effect of 0.071"
    assert specific.verdict == "not reproduced on model, b, which could have seen an effect of 0.14"
    loss = row("c", value=0.7, half=0.1, factor=1.5)
    assert amplification(pd.DataFrame([gain, none, loss]), "model")[0].verdict.startswith("not reproduced on")
    # an interval above 0 is not enough where many were tried
    lucky = gain | {"p_value": 0.03}
    _, specific, _ = amplification(pd.DataFrame([lucky, none, alone | {"p_value": 0.2}]), "model")
    assert specific.verdict.startswith("not reproduced on")
    assert "1.05 (0.95 … 1.15; p = 0.03, corrected 0.09)" in specific.numbers


def test_gains_of_networks_are_told_from_those_of_rotations_which_have_their_energy():
    beyond = {f"p_better_{kind}": 0.05 for kind in ("random", "per_block", "activation")}
    beyond |= {"control_rotation_low": 0.9, "control_rotation_high": 1.2, "detectable_rotation": 0.3}
    # above_controls is of all kinds together
    gain = row(value=1.05, half=0.1, factor=1.5, above_controls=False, p_value=0.001) | beyond
    _, others, turned = amplification(pd.DataFrame([gain | {"p_better_rotation": 0.2}]), "model", " (loss)")
    assert others.verdict == "reproduced"
    assert turned.verdict == "not reproduced on model, a, which could have seen an effect of 0.3"
    assert turned.numbers.startswith("a 1.05, rotations 0.9 … 1.2 (p = 0.2)")
    assert turned.claim.endswith("than amplifying networks of rotations does (loss).")
    _, others, turned = amplification(pd.DataFrame([gain | {"p_better_rotation": 0.05}]), "model")
    assert turned.verdict == "reproduced"
    _, others, turned = amplification(
        pd.DataFrame([gain | {"p_better_rotation": 0.05, "p_better_random": 0.1}]), "model"
    )
    assert others.verdict.startswith("not reproduced")
    assert turned.verdict == "reproduced"


def test_where_no_factor_above_one_was_chosen_no_effect_could_have_been_seen():
    unchanged = row(value=0.9, half=0.0, factor=1.0, p_value=1.0, detectable=np.nan)
    overall, others, *_ = amplification(pd.DataFrame([unchanged]), "model")
    assert overall.verdict == others.verdict == "not reproduced on model, a"
    assert overall.numbers.endswith("a with networks all: 0.9, no factor above 1 was chosen on dev items")
    assert overall.numbers.startswith("+0.000 (+0.000 … +0.000)")


def test_recurrence_is_judged_on_every_corpus():
    corpus = {
        "corpus": "wiki",
        "matches": 90,
        "templates": 10,
        "individual": 100,
        "chance_masks": 0.1,
        "chance_shift": 2.0,
        "p_value": 0.005,
        "above_chance": 10,
        "specificity": 0.2,
        "specificity_chance": 0.1,
        "specificity_p": 0.01,
    }
    missed = corpus | {"corpus": "news", "p_value": 0.2, "specificity_p": 0.5}
    assert verdicts(recurrence(pd.DataFrame([corpus]), "model")) == ["reproduced"] * 2
    lost = corpus | {"p_value": 0.2}
    few, several = (pd.DataFrame([lost | {"above_chance": count}]) for count in (2, 3))
    assert verdicts(recurrence(few, "model"))[0] == "not reproduced on model, wiki"
    assert verdicts(recurrence(several, "model"))[0] == (
        "not reproduced on model, wiki; 3 of 10 templates do"
    )
    some = pd.DataFrame([corpus | {"above_chance": 2}])
    assert verdicts(recurrence(some, "model"))[0] == "reproduced in part (2 of 10 templates)"
    assert (
        verdicts(recurrence(pd.DataFrame([corpus, missed]), "model")) == ["reproduced in part (1 of 2)"] * 2
    )
    recurring, own = recurrence(pd.DataFrame([corpus]), "model")
    assert "by chance 2.0" in recurring.numbers
    assert own.numbers == "wiki: 0.200, rotations 0.100 (p = 0.01)"
    others = pd.DataFrame([corpus | {"specificity_p": 0.3}])
    assert verdicts(recurrence(others, "model")) == ["reproduced", "not reproduced on model, wiki"]


def test_texts_have_to_repeat_themselves_more_than_with_random_neurons_at_zero():
    def written(value=0.6, p_value=0.01):
        more = {"n": 50, "metric": "repetition", "untouched": 0.1, "chance": np.nan}
        return row("generation", value=value, harms=value > 0.2, p_value=p_value, **more)

    def judge(*rows, share=0.15, low=0.05):
        draws = written() | {"control_share_high": share, "control_share_low": low}
        return texts(pd.DataFrame(list(rows)), pd.DataFrame([draws]), "model")

    def judged(*rows, share=0.15):
        return judge(*rows, share=share)[0].verdict

    assert judged(written(), written()) == "reproduced"
    assert judged(written(), written(value=0.8), share=0.7) == "reproduced in part (1 of 2)"
    unseen = "not reproduced on model, written texts, which could have seen an effect of 0.14"
    assert judged(written(value=0.15), share=0.05) == unseen
    # p of .03 is none among two
    assert judged(written(p_value=0.03), written(p_value=0.9)) == unseen
    assert "in 50 texts: untouched 0.10" in judge(written())[0].numbers
    assert judge(written())[1].verdict == "reproduced"
    every = judge(written(), low=0.22, share=0.5)[1]
    assert every.verdict == "not reproduced on model, written texts"
    assert "untouched 0.10, draws of 15% 0.22 … 0.50" in every.numbers
    # one draw that repeats no more than untouched does not speak for the others
    assert judge(written(), low=0.05, share=0.5)[1].verdict.startswith("not decided on model, written texts")
