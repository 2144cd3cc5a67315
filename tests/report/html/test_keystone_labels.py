"""The report says which networks hold keystones, as far as the model was scanned."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import content, lay_out, networks_of, texts

from fbn_exp.analysis.keystones.firing import Energies, Neuron
from fbn_exp.analysis.keystones.scan import KeystoneScan
from fbn_exp.report.html.keystones import keystone_labels, refresh_keystones
from fbn_exp.report.html.page import content_of, rendered, write_report
from fbn_exp.thresholds.z import ZThreshold

LAYOUT = lay_out(4, 24)
RULE = ZThreshold(2.5)


def scan(nats: dict[int, float], first: float = 0.9) -> KeystoneScan:
    """Scan of neurons that cost so many nats on one text of one predicted token."""
    shares = {"first token": first, "white space": 0.0, "punctuation": 0.0}
    neurons = tuple(Neuron(column, 1.0, shares, ()) for column in nats)
    without = np.array([[cost] for cost in nats.values()])
    return KeystoneScan(LAYOUT, Energies(neurons, 9.0, {}), np.zeros(1), without, np.ones(1), "planted")


def test_labels_are_those_of_the_members_the_costliest_first_over_all_scans():
    masks = torch.zeros(2, LAYOUT.n_neurons, dtype=torch.bool)
    masks[0, [3, 30]] = True
    labels = keystone_labels([scan({3: 0.7, 30: 0.4}), scan({3: 0.6, 30: 9.0}, first=0.1)], masks)
    assert labels == [
        [
            {"block": 1, "index": 6, "nats": 9.0, "tokens": "many tokens"},
            {"block": 0, "index": 3, "nats": 0.7, "tokens": "first token"},
        ],
        [],
    ]
    assert keystone_labels([], masks) is None


def test_a_label_names_the_tokens_at_which_the_removal_costs_more_where_that_is_known():
    masks = torch.ones(1, LAYOUT.n_neurons, dtype=torch.bool)
    known = replace(scan({3: 2.0, 4: 1.0}), halves={3: (0.1, 1.9), 4: (1.0, 0.2)})
    (labels,) = keystone_labels([known], masks)
    assert [each["tokens"] for each in labels] == ["other tokens", "first token"]


def test_a_card_names_three_keystones_and_counts_the_rest():
    labels = [[] for _ in range(10)]
    stones = [{"block": 2, "index": place, "nats": 1.0, "tokens": "first token"} for place in range(5)]
    labels[1], labels[2] = stones, stones[:1]
    page = rendered(content(10, texts(), LAYOUT, keystones=labels))
    three = "2:0 (first token), 2:1 (first token), 2:2 (first token) and 2 more"
    assert f"contains keystones {three}</span>" in page
    assert "contains keystone 2:0 (first token)</span>" in page
    assert page.count("contains keystone") == 2


@pytest.mark.parametrize("labels", [None, [[] for _ in range(10)]])
def test_a_card_without_keystones_names_none(labels):
    assert "contains keystone" not in rendered(content(10, texts(), LAYOUT, keystones=labels))


def test_a_report_is_labelled_by_a_later_scan_of_the_same_networks_and_members(tmp_path):
    report, networks = tmp_path / "report.html", networks_of(10, LAYOUT)
    old = content(10, texts(), LAYOUT)
    for card in old["networks"]:
        # a report of an earlier release has no such entry
        del card["keystones"]
    write_report(old, report)
    member = int(networks.masks(RULE).any(dim=0).nonzero()[0])
    found = scan({member: 3.0})
    refresh_keystones(found, networks, ZThreshold(2.0), str(tmp_path / "networks"))
    refresh_keystones(found, networks_of(9, LAYOUT), RULE, str(tmp_path / "networks"))
    refresh_keystones(found, networks, RULE, None)
    assert content_of(report) == json.loads(json.dumps(old))
    refresh_keystones(found, networks, RULE, str(tmp_path / "networks"))
    block, index = LAYOUT.locate(member)
    label = {"block": block, "index": index, "nats": 3.0, "tokens": "first token"}
    inside = networks.masks(RULE)[:, member]
    assert [card["keystones"] for card in content_of(report)["networks"]] == [
        [label] if mask else [] for mask in inside
    ]
    assert f"contains keystone {block}:{index} (first token)" in report.read_text()


def test_what_is_no_report_is_left_with_a_warning(tmp_path, caplog):
    (tmp_path / "report.html").write_text("mine")
    refresh_keystones(scan({0: 1.0}), networks_of(10, LAYOUT), RULE, str(tmp_path / "networks"))
    assert (tmp_path / "report.html").read_text() == "mine"
    assert "cannot be refreshed" in caplog.text
