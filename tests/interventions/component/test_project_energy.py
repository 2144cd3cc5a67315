"""A projection whose factor is solved for a share of the energy."""

import pytest
import torch
from component_edits import PAIR, PATTERN, projection_of

from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.component.config import ProjectConfig
from fbn_exp.interventions.component.project import Project, removed_share
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.resample import Donors


def sample(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Donors(
        100 * torch.randn(3, PAIR.n_neurons, generator=generator),
        torch.randn(50, PAIR.n_neurons, generator=generator),
    )


def test_the_share_is_that_computed_by_hand():
    # only the first block is touched: of (5, 10, 1, 2) around 0, 11² of 130
    donors = Donors(torch.ones(1, 4), torch.tensor([[5.0, 10, 1, 2]]))
    pattern = torch.tensor([[0.6, 0.8, 0, 0]])
    share = removed_share(projection_of(pattern, place=Place.first_spared), donors)
    assert share == pytest.approx(121 / 130)


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("factor", [0.0, 0.4, -0.5])
def test_the_energy_goes_with_the_square_of_what_is_taken(place, factor):
    whole = removed_share(projection_of(PATTERN, place=place), sample())
    part = removed_share(projection_of(PATTERN, factors=(factor,), place=place), sample())
    assert part == pytest.approx((1 - factor) ** 2 * whole, rel=1e-5)


@pytest.mark.parametrize("energy", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(energy):
    with pytest.raises(ConfigError, match=r"intervention\.energy"):
        ProjectConfig(energy=energy)


def test_a_factor_and_an_energy_contradict_each_other():
    with pytest.raises(ConfigError, match="the energy decides the factor"):
        Project([0], factor=0.5, energy=0.1)
