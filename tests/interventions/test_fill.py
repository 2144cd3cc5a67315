"""Every fill, at every place, of every set of members, beside values that are computed token by token."""

import functools
import itertools
from contextlib import ExitStack, contextmanager

import pytest
import torch
from neuron_statistics import stated
from zoo import DEPTH, ZOO

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.interventions.config import Fill, Members, Place
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.interventions.fill import filled
from fbn_exp.interventions.resample import POSITIONS, Donors
from fbn_exp.interventions.rules import Amplify, Inhibit, Mean, Preserve, Scale, Shift
from fbn_exp.interventions.target import OUTSIDE, Target
from fbn_exp.models.positions import Tokens
from fbn_exp.models.sites import resolve
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import TOKENS, neuron_tensors, token_counts
from fbn_exp.thresholds.top import TopFraction

MODELS = ("llama", "gpt2", "gemma2")
PAD, NEW = 258, 4
RAGGED = [[11, 12, 13, 14, 15], [21, 22], [31, 32, 33]]
LONGEST = max(map(len, RAGGED))
FIRST_TOKENS, OTHER_TOKENS = 2, 6

# one block of three neurons, of which the first two are members; 1 first token for 3 others
SMALL = NeuronLayout.of(Site.mlp_output, ["a"], [3])
SMALL_TARGET = Target(
    (0,),
    torch.tensor([0, 0, OUTSIDE]),
    SMALL,
    StatisticsByToken(
        stated([100.0, -8, 5], n_tokens=FIRST_TOKENS), stated([4.0, 0.0, 5], n_tokens=OTHER_TOKENS)
    ),
    Donors(torch.tensor([[30.0, 31, 32]]), torch.tensor([[70.0, 71, 72]])),
)
# value that the two members take at first tokens and at others, fully filled
VALUES = {
    Fill.zero: ((0, 0), (0, 0)),
    Fill.mean: ((28, -2), (28, -2)),
    Fill.position_mean: ((100, -8), (4, 0)),
    Fill.resample: ((30, 31), (70, 71)),
}
# padding, a first token, two others
SMALL_TOKENS = Tokens(torch.tensor([[-1, 0, 1, 2]]))
SMALL_X = torch.tensor([[[9.0, 9, 9], [10, 20, 7], [2, 4, 8], [-6, 0, 1]]])


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("factor", [0.0, 0.5, -1.0, 2.0])
def test_numbers_are_those_computed_by_hand(fill, place, factor):
    edit = Scale(factor=factor, fill=fill, tokens=place).edit(SMALL_TARGET)
    found = edit.change(SMALL.blocks[0], SMALL_X, SMALL_TOKENS)[0]
    for token in (1, 2, 3):
        is_first = token == 1
        x = SMALL_X[0, token].tolist()
        value = VALUES[fill][0 if is_first else 1]
        edited = place is Place.all or is_first == (place is Place.first_only)
        moved = [factor * x[n] + (1 - factor) * value[n] for n in (0, 1)] if edited else x[:2]
        assert found[token].tolist() == [*moved, x[2]]


def test_inhibit_is_a_factor_of_0_and_mean_a_name_for_its_fill():
    for fill in Fill:
        one, other = Inhibit(fill=fill).edit(SMALL_TARGET), Scale(factor=0, fill=fill).edit(SMALL_TARGET)
        assert one.digest == other.digest
    assert Mean().edit(SMALL_TARGET).digest == Inhibit(fill="mean").edit(SMALL_TARGET).digest
    assert Mean(fill="position_mean").edit(SMALL_TARGET).digest != Mean().edit(SMALL_TARGET).digest


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("place", Place)
def test_a_factor_of_1_changes_nothing_whatever_the_fill(fill, place):
    edit = Scale(factor=1, fill=fill, tokens=place).edit(SMALL_TARGET)
    assert not edit.touched.any()
    assert not edit.by_position
    assert edit.change(SMALL.blocks[0], SMALL_X, SMALL_TOKENS).equal(SMALL_X)


def test_a_shift_is_restricted_to_places_too():
    for place, expected in (
        (Place.all, [[13, 23, 7], [5, 7, 8]]),
        (Place.first_spared, [[10, 20, 7], [5, 7, 8]]),
        (Place.first_only, [[13, 23, 7], [2, 4, 8]]),
    ):
        edit = Shift(value=3, tokens=place).edit(SMALL_TARGET)
        assert edit.change(SMALL.blocks[0], SMALL_X, SMALL_TOKENS)[0, 1:3].tolist() == expected


def test_only_edits_that_treat_tokens_apart_need_their_positions():
    for fill, place in itertools.product(Fill, Place):
        apart = place is not Place.all or fill in (Fill.position_mean, Fill.resample)
        assert Inhibit(fill=fill, tokens=place).edit(SMALL_TARGET).by_position == apart
    same = StatisticsByToken(stated([1.0, 2, 3], n_tokens=1), stated([1.0, 2, 3]))
    alike = Target((0,), SMALL_TARGET.labels, SMALL, same)
    assert not Inhibit(fill="position_mean").edit(alike).by_position


def test_digests_tell_fills_and_places_apart():
    digests = {
        Scale(factor=0.5, fill=fill, tokens=place).edit(SMALL_TARGET).digest
        for fill, place in itertools.product(Fill, Place)
    }
    assert len(digests) == len(Fill) * len(Place)
    plain = AffineEdit(torch.tensor([0.5, 0.5, 1]), torch.zeros(3))
    assert Scale(factor=0.5).edit(SMALL_TARGET).digest == plain.digest


def test_what_a_fill_lacks_is_said():
    old = Target((0,), SMALL_TARGET.labels, SMALL, StatisticsByToken(None, stated([4.0, 0, 5])))
    assert Inhibit(fill="mean").edit(old).shift.tolist() == [4, 0, 0]
    with pytest.raises(NetworksError, match=r"fill=position_mean needs .* earlier version .*: extract again"):
        Inhibit(fill="position_mean").edit(old)
    with pytest.raises(NetworksError, match=r"fill=resample .* none were given"):
        Inhibit(fill="resample").edit(old)
    few = StatisticsByToken(stated([1.0, 2, 3], n_tokens=4), stated([0.0, 0, 0], n_tokens=0))
    with pytest.raises(NetworksError, match="4 first tokens and 0 others: take longer texts"):
        Inhibit(fill="position_mean").edit(Target((0,), SMALL_TARGET.labels, SMALL, few))


@pytest.mark.parametrize(
    ("intervention", "words"),
    [
        (Inhibit(fill="position_mean"), "inhibit (fill=position_mean)"),
        (Scale(factor=0.5, tokens="first_spared"), "scale 0.5 (tokens=first_spared)"),
        (Amplify(members="keystones"), "amplify 1.1 (members=keystones)"),
        (Shift(tokens="first_only"), "shift 1 (tokens=first_only)"),
        (Mean(tokens="first_spared"), "mean ablation (tokens=first_spared)"),
        (Mean(fill="zero"), "inhibit"),
        (
            Preserve(fill="resample", tokens="first_spared", members="without_keystones"),
            "preserve (fill=resample, tokens=first_spared, members=without_keystones)",
        ),
    ],
)
def test_options_are_part_of_the_description(intervention, words):
    assert intervention.describe() == words


def test_another_factor_keeps_the_options():
    options = {"fill": "position_mean", "tokens": "first_spared", "members": "without_keystones"}
    for intervention in (Scale(factor=0.5, **options), Amplify(**options)):
        other = intervention.with_factor(0.25)
        assert (other.factors, other.fill, other.tokens, other.members) == (
            [0.25],
            Fill.position_mean,
            Place.first_spared,
            Members.without_keystones,
        )


def test_a_plain_lesion_is_that_of_the_paper_alone():
    assert Inhibit().is_plain_lesion
    assert Scale(factor=0).is_plain_lesion
    others = (
        Inhibit(fill="mean"),
        Inhibit(tokens="first_spared"),
        Inhibit(members="keystones"),
        Scale(factor=0.5),
        Mean(),
        Preserve(),
        Shift(),
    )
    assert not any(each.is_plain_lesion for each in others)


# real models ------------------------------------------------------------------------------------------------


@functools.cache
def shared(name):
    """One model for all tests, weights so large that every edit shows."""
    model = ZOO[name].build()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.2, generator=generator)
    model.generation_config.eos_token_id = None
    return model


@functools.cache
def world(name):
    """Networks with 20% of the neurons as members, a third of them keystones, and donors."""
    layout = resolve(shared(name), Site.mlp_output)
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    n = layout.n_neurons
    statistics = StatisticsByToken(
        stated(3 * draw(n), n_tokens=FIRST_TOKENS), stated(draw(n), n_tokens=OTHER_TOKENS)
    )
    provenance = {TOKENS: token_counts(statistics)}
    networks = FunctionalNetworks(draw(2, n), layout, {}, neuron_tensors(statistics), provenance)
    keystones = torch.rand(n, generator=generator) < 0.3
    return networks, keystones, Donors(3 * draw(4, n), draw(9, n), seed=2)


RULE = TopFraction(0.1)


def batch(side):
    """Ids, mask and, stated by hand, the position of each token; -1 at padding."""
    rows = []
    for text in RAGGED:
        pads, places = [(PAD, 0, -1)] * (LONGEST - len(text)), [(each, 1, n) for n, each in enumerate(text)]
        rows.append(pads + places if side == "left" else places + pads)
    return torch.tensor(rows).unbind(dim=-1)


def value_of(fill, target, is_first, position):
    """Value of every neuron at a token, straight from the definition."""
    first, others = target.statistics.first, target.statistics.others
    if fill is Fill.zero:
        return torch.zeros(target.layout.n_neurons)
    if fill is Fill.mean:
        total = FIRST_TOKENS * first.mean + OTHER_TOKENS * others.mean
        return (total / (FIRST_TOKENS + OTHER_TOKENS)).float()
    if fill is Fill.position_mean:
        return (first if is_first else others).mean.float()
    donors = target.donors
    generator = torch.Generator().manual_seed(donors.seed)
    rows = donors.first if is_first else donors.others
    n_draws = 1 if is_first else POSITIONS
    drawn = torch.randint(len(rows), (n_draws,), generator=generator)
    return rows[drawn[0 if is_first else position]]


@contextmanager
def edited_token_by_token(model, target, chosen, factor, fill, place, positions):
    """The same by torch's own hooks: each token of each text changed by itself."""

    def edited(block, x):
        out = x.clone()
        flat, places = out.view(-1, block.width), positions.reshape(-1).tolist()
        for row, position in zip(flat, places, strict=True):
            is_first = position == 0
            if position < 0 or not (place is Place.all or is_first == (place is Place.first_only)):
                continue
            value = value_of(fill, target, is_first, position)[block.columns].to(x)
            mask = chosen[block.columns]
            row[mask] = (factor * row + (1 - factor) * value)[mask]
        return out

    with ExitStack() as hooks:
        for block in target.layout.blocks:
            hook = lambda _, args, output, block=block: edited(block, output)  # noqa: E731
            handle = model.get_submodule(block.path).register_forward_hook(hook)
            hooks.callback(handle.remove)
        yield


def logits(model, ids, mask):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, use_cache=False).logits


def n_hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


# without any member, only preserve changes something
SOME = (Members.all, Members.keystones, Members.without_keystones)
CASES = list(itertools.product(Fill, Place, SOME))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["inhibit", "dose", "preserve"])
def test_logits_are_those_of_activations_edited_token_by_token(name, side, kind):
    """Every fill × place × members; the model is bit for bit what it was afterwards."""
    model, (networks, keystones, donors) = shared(name), world(name)
    ids, mask, positions = batch(side)
    real, before = positions >= 0, logits(model, ids, mask)
    seen = set()
    for fill, place, members in CASES:
        options = {"fill": fill, "tokens": place, "members": members}
        intervention, factor = {
            "inhibit": (Inhibit(**options), 0.0),
            "dose": (Scale(factor=0.25, **options), 0.25),
            "preserve": (Preserve(**options), 0.0),
        }[kind]
        target = intervention.target(networks, RULE, keystones, donors)
        own = networks.masks(RULE).any(dim=0)
        own &= {Members.all: own, Members.keystones: keystones, Members.without_keystones: ~keystones}[
            members
        ]
        chosen = ~own if kind == "preserve" else own
        edit = intervention.edit(target)
        assert edit.touched.equal(chosen)
        with applied(model, target.layout, edit):
            found = logits(model, ids, mask)
        with edited_token_by_token(model, target, chosen, factor, fill, place, positions):
            expected = logits(model, ids, mask)
        scale = float(before[real].abs().max())
        torch.testing.assert_close(found[real], expected[real], rtol=1e-4, atol=1e-5 * scale)
        assert (found - before)[real].abs().max() > 1e-3 * scale, (fill, place, members)
        assert n_hooks(model) == 0
        assert torch.equal(logits(model, ids, mask), before)
        seen.add(edit.digest)
    assert len(seen) == len(CASES)


def greedy(model, ids):
    """One text, no cache, no padding: the tokens and the logits they were chosen from."""
    found = []
    for _ in range(NEW):
        with torch.no_grad():
            found.append(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1])
        ids = [*ids, int(found[-1].argmax())]
    return ids[-NEW:], torch.stack(found)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("place", Place)
def test_cached_and_padded_generation_is_that_of_single_texts(name, fill, place):
    model, (networks, keystones, donors) = shared(name), world(name)
    ids, mask, _ = batch("left")
    intervention = Scale(factor=0.25, fill=fill, tokens=place)
    target = intervention.target(networks, RULE, keystones, donors)
    with applied(model, target.layout, intervention.edit(target)):
        written = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=PAD,
            use_cache=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
        singly = [greedy(model, text) for text in RAGGED]
    for row, (tokens, chosen_from) in enumerate(singly):
        assert written.sequences[row, LONGEST:].tolist() == tokens
        found = torch.stack([step[row] for step in written.logits])
        torch.testing.assert_close(found, chosen_from, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("fill", [Fill.position_mean, Fill.resample])
def test_gradients_under_checkpointing_are_those_without(fill):
    """Blocks that run again in the backward pass are edited at the same tokens."""
    ids, mask, _ = batch("right")
    networks, keystones, donors = world("llama")
    intervention = Inhibit(fill=fill, tokens=Place.first_spared)
    target = intervention.target(networks, RULE, keystones, donors)
    gradients = []
    for checkpointing in (False, True):
        model = ZOO["llama"].build().train()
        model.load_state_dict(shared("llama").state_dict())
        if checkpointing:
            model.gradient_checkpointing_enable()
        with applied(model, target.layout, intervention.edit(target)):
            model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False).loss.backward()
        gradients.append([weight.grad for weight in model.parameters()])
    assert len(gradients[0]) > DEPTH
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed, rtol=1e-5, atol=1e-7)


def test_a_model_in_bfloat16_is_edited_in_bfloat16():
    networks, keystones, donors = world("llama")
    model = ZOO["llama"].build().to(torch.bfloat16)
    ids, mask, positions = batch("left")
    for fill in Fill:
        intervention = Inhibit(fill=fill, tokens=Place.first_spared)
        target = intervention.target(networks, RULE, keystones, donors)
        with applied(model, target.layout, intervention.edit(target)):
            found = logits(model, ids, mask)
        with edited_token_by_token(model, target, target.members, 0.0, fill, Place.first_spared, positions):
            expected = logits(model, ids, mask)
        assert found.dtype is torch.bfloat16
        torch.testing.assert_close(found[positions >= 0], expected[positions >= 0])


def test_filled_takes_a_factor_for_each_neuron():
    edit = filled(torch.tensor([0.0, 0.5, 1.0]), Fill.position_mean, Place.all, SMALL_TARGET)
    assert edit.change(SMALL.blocks[0], SMALL_X, SMALL_TOKENS)[0, 1:3].tolist() == [[100, 6, 7], [4, 2, 8]]
