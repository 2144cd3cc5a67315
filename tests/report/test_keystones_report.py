"""What is said of keystones: numbers, a table, a picture and sentences, with and without any."""

from dataclasses import replace

import numpy as np
import pytest

from fbn_exp.analysis.keystones.analysis import Keystone, KeystoneFindings
from fbn_exp.analysis.keystones.firing import Energies, FiringToken, Neuron
from fbn_exp.analysis.keystones.scan import KeystoneScan
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.report.analyses import present

LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b"], [6, 6])


def neuron(column, energy, first):
    shares = {"first token": first, "white space": 0.0, "punctuation": 0.1}
    return Neuron(column, energy, shares, (FiringToken(0, 0, "[red]\n", -energy),))


def findings(**changes):
    """Three neurons; the second costs 2 nats in both texts, at first tokens alone."""
    neurons = (neuron(7, 90.0, 0.2), neuron(3, 9.0, 0.9), neuron(11, 0.5, 0.0))
    without = np.array([[10.0, 20.5], [30.0, 60.0], [10.0, 20.0]])
    scan = KeystoneScan(
        LAYOUT,
        Energies(neurons, 100.0, {"first token": 0.1, "white space": 0.0, "punctuation": 0.2}),
        np.array([10.0, 20.0]),
        without,
        np.array([10.0, 20.0]),
        "planted texts",
    )
    attention = np.array([0.5, 0.7])
    held = Keystone(neurons[1], 2.0, 0.0, 1.9, 0.05, attention / 2, (1,))
    members = np.array([[True, False, False], [False, True, False]])
    about = (attention, attention / 2, np.zeros((1, 1)), members, 0.5, "z > 1.96")
    found = KeystoneFindings(scan, (held,), 2.0, *about)
    return replace(found, **changes)


def without_keystones():
    nothing = {"keystones": (), "together": 0.0, "energy_left": np.zeros((0, 0))}
    return findings(**nothing, minimum_nats=3.0, attention_together=np.array([0.5, 0.7]))


def test_numbers_are_those_of_the_scan():
    metrics = present(findings()).metrics
    assert metrics["keystones/count"] == 1
    assert metrics["keystones/scanned"] == 3
    assert metrics["keystones/largest_nats"] == 2
    assert metrics["keystones/untouched_nats"] == 1
    assert metrics["keystones/energy_share"] == pytest.approx(0.09)
    assert metrics["keystones/at_first_token"] == 1
    assert metrics["keystones/attention"] == pytest.approx(0.6)
    assert metrics["keystones/attention_together"] == pytest.approx(0.3)
    assert metrics["keystones/0/3/nats"] == 2
    assert metrics["keystones/0/3/nats_first"] == 1.9
    assert metrics["keystones/0/3/attention"] == pytest.approx(0.3)
    assert [metrics[f"network/{index}/keystones"] for index in (0, 1)] == [0, 1]


def test_the_table_has_every_scanned_neuron_the_costliest_first():
    said = present(findings())
    table = said.tables["keystones"]
    assert table["neuron"].tolist() == [3, 7, 11]
    assert table["energy_rank"].tolist() == [2, 1, 3]
    assert table["nats"].tolist() == pytest.approx([2.0, 0.5 / 30, 0.0])
    assert table["keystone"].tolist() == [True, False, False]
    assert table["fires_at"].tolist() == ["first token", "many tokens", "many tokens"]
    assert table["networks"].tolist() == ["1", "0", ""]
    assert table["nats_first"].notna().tolist() == [True, False, False]
    assert said.tables["keystone_attention"].columns.tolist() == [
        "layer",
        "untouched",
        "without_all",
        "without_0:3",
    ]


def test_keystones_are_said_in_words_with_the_networks_that_hold_them():
    said = present(findings())
    assert said.rows["neuron"].tolist() == ["0:3"]
    assert said.rows["strongest at"].tolist() == ["'[red]\\n'"]
    assert "1 of the 3 neurons of largest energy cost more than 0.5 nats per token alone" in said.lines[0]
    assert said.rows["fires at"].tolist() == ["first token (90%)"]
    assert "9.0% of the energy of all 12 neurons, and cost 2.00 nats. 1 cost more at first" in said.lines[1]
    assert "(z > 1.96): 1 (1); keystones in no network: 0" in said.lines[2]
    assert "60.0%, 30.0% without all of them" in said.lines[3]


def test_a_keystone_that_loses_its_energy_without_another_one_is_named():
    first, other = findings().keystones[0], replace(findings().keystones[0], neuron=neuron(7, 90.0, 0.2))
    left = np.array([[0.0, 0.004], [1.1, 0.0]])
    said = present(findings(keystones=(first, other), energy_left=left))
    assert "Keystones that keep less than half of their energy: 1:1 without 0:3 (0.004)." in said.lines
    assert said.tables["keystone_energy"].to_dict("list") == {
        "without": ["0:3", "1:1"],
        "0:3": [0.0, 1.1],
        "1:1": [0.004, 0.0],
    }
    assert not any("less than half" in line for line in present(findings()).lines)


def test_without_keystones_the_costliest_neurons_are_listed():
    said = present(without_keystones())
    assert said.title == "The 3 costliest of 3 neurons; none is a keystone"
    assert said.rows["neuron"].tolist() == ["0:3", "1:1", "1:5"]
    assert "first token only" not in said.rows
    assert said.metrics["keystones/count"] == 0


def test_a_keystone_among_the_neurons_of_least_energy_asks_for_more_of_them():
    assert "raise analysis.n_neurons" in present(findings()).remarks[0]
    first = replace(findings().keystones[0], neuron=findings().scan.neurons[0])
    assert present(findings(keystones=(first,))).remarks == []


def test_a_model_without_attention_weights_is_remarked_on():
    held = replace(findings().keystones[0], attention=None)
    said = present(findings(attention=None, attention_together=None, keystones=(held,)))
    assert "returns no attention weights" in said.remarks[0]
    assert "attention" not in said.rows
    assert "keystones/attention" not in said.metrics
    assert "keystone_attention" not in said.tables


def test_a_loss_that_is_not_a_number_stands_first_and_is_drawn(tmp_path):
    found = findings()
    found.scan.without[2] = np.nan
    said = present(found)
    assert said.tables["keystones"]["neuron"].tolist()[0] == 11
    said.figures["keystones"]().savefig(tmp_path / "keystones.png")


@pytest.mark.parametrize(
    "found",
    [findings(), without_keystones(), findings(attention=None, attention_together=None)],
    ids=["some", "none", "without attention"],
)
def test_every_case_has_a_picture(found, tmp_path):
    present(found).figures["keystones"]().savefig(tmp_path / "keystones.png")
    assert (tmp_path / "keystones.png").stat().st_size > 5_000
