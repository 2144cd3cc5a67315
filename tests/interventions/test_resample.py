import pytest
import torch

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.resample import POSITIONS, Donors, ResampleEdit
from fbn_exp.models.positions import Tokens

LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b"], [2, 3])
# one donor of each kind: every first token takes the tens, every other one the hundreds
ONE_EACH = Donors(torch.tensor([[10.0, 20, 30, 40, 50]]), torch.tensor([[100.0, 200, 300, 400, 500]]))
# a text of three tokens, left-padded, and one of two packed texts
TOKENS = Tokens(torch.tensor([[-1, 0, 1, 2], [0, 1, 0, 1]]))
X = torch.arange(1.0, 25.0).reshape(2, 4, 3)
# the second block: a lesioned neuron, an untouched one, a halved one
FACTOR = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.5])


@pytest.mark.parametrize("place", Place)
def test_values_are_those_computed_by_hand(place):
    found = ResampleEdit(FACTOR, ONE_EACH, place).change(LAYOUT.blocks[1], X, TOKENS)
    for row in range(2):
        for token in range(4):
            first = bool(TOKENS.first[row, token])
            x0, x1, x2 = X[row, token].tolist()
            edited = {Place.all: True, Place.first_spared: not first, Place.first_only: first}[place]
            donor = (30, 50) if first else (300, 500)
            expected = [donor[0], x1, x2 / 2 + donor[1] / 2] if edited else [x0, x1, x2]
            assert found[row, token].tolist() == expected


def test_flattened_tokens_are_changed_alike():
    edit = ResampleEdit(FACTOR, ONE_EACH)
    flat = edit.change(LAYOUT.blocks[1], X.reshape(8, 3), Tokens(TOKENS.position.reshape(8)))
    assert torch.equal(flat.reshape(2, 4, 3), edit.change(LAYOUT.blocks[1], X, TOKENS))


def test_a_block_without_a_changed_neuron_and_the_given_activations_stay_as_they_are():
    edit, before = ResampleEdit(FACTOR, ONE_EACH), X.clone()
    assert edit.change(LAYOUT.blocks[0], X[..., :2], TOKENS).equal(X[..., :2])
    edit.change(LAYOUT.blocks[1], X, TOKENS)
    assert X.equal(before)
    assert edit.touched.tolist() == [False, False, True, False, True]


def test_all_neurons_of_a_token_take_their_values_from_one_donor_chosen_by_position():
    """Rows of donors are numbered, so that a value names its donor."""
    numbered = torch.arange(50.0)[:, None].expand(50, 5)
    donors = Donors(numbered + 1000, numbered, seed=3)
    edit = ResampleEdit(torch.zeros(5), donors)
    tokens = Tokens(torch.stack([torch.arange(40), torch.arange(40)]))
    parts = [edit.change(block, torch.zeros(2, 40, block.width), tokens) for block in LAYOUT.blocks]
    values = torch.cat(parts, dim=-1)
    assert (values == values[..., :1]).all()
    assert values[0].equal(values[1])
    assert (values[:, 0] >= 1000).all()
    assert (values[:, 1:] < 50).all()
    assert len(values[0, 1:, 0].unique()) > 15
    # the same position in a pass of its own, as with a cache
    later = edit.change(LAYOUT.blocks[0], torch.zeros(1, 1, 2), Tokens(torch.tensor([[7]])))
    assert later[0, 0].equal(values[0, 7, :2])
    other = ResampleEdit(torch.zeros(5), Donors(donors.first, donors.others, seed=4))
    assert not other.change(LAYOUT.blocks[0], torch.zeros(2, 40, 2), tokens).equal(values[..., :2])


def test_positions_beyond_the_table_have_donors_too():
    edit = ResampleEdit(FACTOR, ONE_EACH)
    far = Tokens(torch.tensor([[POSITIONS, 3 * POSITIONS + 5]]))
    assert edit.change(LAYOUT.blocks[1], X[:1, :2], far)[..., 0].tolist() == [[300, 300]]


def test_digests_tell_factor_place_rows_and_seed_apart():
    edits = [
        ResampleEdit(FACTOR, ONE_EACH),
        ResampleEdit(FACTOR / 2, ONE_EACH),
        ResampleEdit(FACTOR, ONE_EACH, Place.first_spared),
        ResampleEdit(FACTOR, Donors(ONE_EACH.first, ONE_EACH.others, seed=1)),
        ResampleEdit(FACTOR, Donors(ONE_EACH.others, ONE_EACH.first)),
    ]
    assert len({edit.digest for edit in edits}) == len(edits)
    assert edits[0].digest == ResampleEdit(FACTOR.clone(), Donors(ONE_EACH.first, ONE_EACH.others)).digest


def test_positions_and_donors_are_required():
    edit = ResampleEdit(FACTOR, ONE_EACH)
    with pytest.raises(LayoutError, match="give the tokens"):
        edit.change(LAYOUT.blocks[1], X, None)
    with pytest.raises(LayoutError, match="at least one row"):
        Donors(torch.zeros(0, 5), torch.zeros(2, 5))
    with pytest.raises(LayoutError, match=r"\(1, 5\) at first tokens and \(2, 4\)"):
        Donors(torch.zeros(1, 5), torch.zeros(2, 4))
    with pytest.raises(LayoutError, match=r"a donor has shape \(5,\), the layout has 2 neurons"):
        ResampleEdit(torch.zeros(2), ONE_EACH).require_layout(NeuronLayout.of(Site.mlp_output, ["a"], [2]))
