"""Templates of consistency: networks and who their members are."""

import torch
from synthetic import lay_out, networks_of

from fbn_exp.analysis.recurrence.matches import Templates
from fbn_exp.thresholds.z import ZThreshold


def test_members_of_a_template_are_those_that_the_networks_name():
    networks = networks_of(2, lay_out(3, 40), blocks=(2, 0))
    templates = Templates(networks, ZThreshold(1.0), 0.2)
    assert torch.equal(templates.masks, networks.masks(ZThreshold(1.0)))
