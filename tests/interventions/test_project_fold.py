"""A projection in the weights does what its hooks do, or is refused with the reason."""

import pytest
import torch
from component_edits import random_projection, random_subtraction
from test_fold import distance, foldable, has_bias, hooked_logits, logits, shared

from fbn_exp.core.errors import FoldError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.block_maps import Removal, Scaling
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.fold import folded
from fbn_exp.models.sites import resolve


def without_centre(layout, **settings):
    return random_projection(layout, centre=torch.zeros(layout.n_neurons), first_centre=None, **settings)


@pytest.mark.parametrize("factors", [(0.0, 0.0), (2.0, 0.3)])
@pytest.mark.parametrize(("name", "site"), foldable())
def test_folded_weights_do_what_the_hooks_do(name, site, factors):
    model = shared(name)
    layout = resolve(model, site)
    edit = without_centre(layout, factors=factors)
    expected = hooked_logits(model, layout, edit)
    assert distance(expected, logits(model)) > 0.01
    assert distance(logits(folded(model, layout, edit)), expected) < 1e-4


@pytest.mark.parametrize(("name", "site"), foldable())
def test_a_centre_needs_a_bias(name, site):
    model = shared(name)
    layout = resolve(model, site)
    edit = random_projection(layout, first_centre=None)
    expected = hooked_logits(model, layout, edit)
    if has_bias(name, site):
        assert distance(logits(folded(model, layout, edit)), expected) < 1e-4
    else:
        with pytest.raises(FoldError, match="no bias"):
            folded(model, layout, edit)


def test_what_depends_on_the_position_or_on_other_blocks_is_refused():
    model = shared("gpt2")
    layout = resolve(model, Site.mlp_output)
    for edit in (random_projection(layout), without_centre(layout, place=Place.first_spared)):
        with pytest.raises(FoldError, match=r"weights are the same for all tokens; take .*fill=zero or mean"):
            folded(model, layout, edit)
    with pytest.raises(FoldError, match="from an untouched pass, which weights cannot hold"):
        folded(model, layout, random_subtraction(layout))


def test_maps_of_a_block_are_the_matrices_that_they_stand_for():
    weight = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    inward, outward = torch.tensor([[1.0, 2, 0]]), torch.tensor([[0.0, 1, 3]])
    for held, matrix in (
        (Scaling(torch.zeros(3), torch.tensor([1.0, 0, 2])), torch.diag(torch.tensor([1.0, 0, 2]))),
        (Removal(torch.zeros(3), inward, outward), torch.eye(3) - outward.T @ inward),
    ):
        torch.testing.assert_close(held.times(weight), matrix @ weight)
        torch.testing.assert_close(held.transposed_times(weight), matrix.T @ weight)
