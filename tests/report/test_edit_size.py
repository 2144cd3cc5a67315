from fbn_exp.benchmarks.sizes import EditSizes
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.sample.activations import EditSize
from fbn_exp.report.edit_size import size_columns, size_in_words, size_metric_names, size_metrics

SIZES = EditSizes(EditSize(120.0, 0.25, 0.125), {ControlKind.random: [1.0, 3.0], ControlKind.share: []})
OF_ALL = {"tales/kl": SIZES, "tales/top1": SIZES}


def test_metrics_name_the_edit_and_the_mean_of_each_kind_of_control():
    assert size_metrics(OF_ALL) == {
        "edit/energy": 120.0,
        "edit/energy_share": 0.25,
        "edit/residual_change": 0.125,
        "edit/control/random/energy": 2.0,
    }
    assert set(size_metrics(OF_ALL)) <= set(size_metric_names(OF_ALL))
    assert size_columns(SIZES)["control_random_energy"] == 2.0


def test_words_give_the_energy_beside_that_of_the_controls():
    assert size_in_words(OF_ALL) == [
        "Energy of the edit: 120 per token, 25% of all neurons'; it changes the residual stream by 12.5%.",
        "Energy of the controls: random 2.",
    ]


def test_what_was_not_measured_is_not_said():
    assert (size_metrics({}), size_columns(None), size_in_words({})) == ({}, {}, [])
    unknown = {"tales/kl": EditSizes(EditSize(1.0, 0.5, None), {})}
    assert size_metrics(unknown) == {"edit/energy": 1.0, "edit/energy_share": 0.5}
    assert size_in_words(unknown) == ["Energy of the edit: 1 per token, 50% of all neurons'."]


def test_sizes_at_factors_of_their_own_follow_the_names_of_the_scores():
    own = {"tales/kl": SIZES, "tales/top1": EditSizes(EditSize(30.0, 0.1, None), {})}
    metrics = size_metrics(own)
    assert (metrics["edit/energy/tales/kl"], metrics["edit/energy/tales/top1"]) == (120.0, 30.0)
    assert metrics["edit/control/random/energy/tales/kl"] == 2.0
    assert set(metrics) <= set(size_metric_names(own))
    assert size_in_words(own) == [
        "Energy of the edit per token, at each chosen factor: tales/kl 120, tales/top1 30."
    ]
