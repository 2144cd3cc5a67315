import functools
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from neuron_statistics import same_everywhere
from torch import nn
from zoo import DEPTH, PLACES, ZOO

from fbn_exp.core.errors import ConfigError, LayoutError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.interventions.edit import AffineEdit, applied, no_edit
from fbn_exp.interventions.rules import Amplify, Inhibit, Mean, NoIntervention, Preserve, Scale, Shift
from fbn_exp.interventions.target import OUTSIDE, Target, choose_target
from fbn_exp.models.hooks import visited
from fbn_exp.models.sites import resolve
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import NEEDED
from fbn_exp.thresholds.top import TopFraction

IDS = torch.randint(0, 250, (2, 5), generator=torch.Generator().manual_seed(1))


class Toy(nn.Module):
    """Two blocks of two neurons: x + W x. Input (1, 2): outputs (1, 4), then (8, 6), together (10, 12)."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(2))
        for block, weight in zip(self.blocks, ([[1, 0], [0, 2]], [[1, 1], [0, 1]]), strict=True):
            block.weight.data = torch.tensor(weight, dtype=torch.float32)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x


TOY_LAYOUT = NeuronLayout.of(Site.mlp_output, ["blocks.0", "blocks.1"], [2, 2])


def toy_target(labels=(OUTSIDE, 0, 1, OUTSIDE)):
    """By default network 0 is the second neuron of the first block, network 1 the first of the second."""
    mean = torch.tensor([9.0, -1.0, 0.5, 9.0])
    networks = tuple(range(max(labels) + 1))
    return Target(networks, torch.tensor(labels), TOY_LAYOUT, same_everywhere(mean))


def toy_output(intervention, target=None):
    target = target or toy_target()
    with applied(Toy(), TOY_LAYOUT, intervention.edit(target)) as model, torch.no_grad():
        return model(torch.tensor([[1.0, 2.0]]))[0].tolist()


@pytest.mark.parametrize(
    ("intervention", "expected"),
    [
        (NoIntervention(), [10, 12]),
        (Inhibit(), [2, 4]),
        (Scale(factor=0.5), [5, 8]),
        (Scale(factor=[0, 0.5]), [4, 4]),
        (Scale(factor=-1), [2, -4]),
        (Amplify(factor=2), [26, 20]),
        (Amplify(factor=[2, 3]), [38, 20]),
        (Shift(value=1), [12, 14]),
        (Shift(value=[1, -2]), [9, 14]),
        (Mean(), [2.5, 2]),
        (Preserve(), [8, 6]),
    ],
)
def test_numbers_are_those_computed_by_hand(intervention, expected):
    assert toy_output(intervention) == expected


def test_preserve_silences_blocks_without_a_member_too():
    # only the first block has a member; the second must not add its (7, 6)
    target = toy_target((OUTSIDE, 0, OUTSIDE, OUTSIDE))
    assert toy_output(Preserve(), target) == [1, 6]


def random_target(layout, seed=0, share=0.3, n_networks=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, n_networks, (layout.n_neurons,), generator=generator)
    labels[torch.rand(layout.n_neurons, generator=generator) > share] = OUTSIDE
    mean = torch.randn(layout.n_neurons, generator=generator)
    return Target(tuple(range(n_networks)), labels, layout, same_everywhere(mean))


@functools.cache
def shared(name):
    """One model for all tests that leave it as it was."""
    return ZOO[name].build()


@functools.cache
def shared_layout(name, site):
    return resolve(shared(name), site)


def logits(model, ids=IDS):
    with torch.no_grad():
        return model(input_ids=ids).logits


def n_hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


def per_label(numbers, labels):
    """Number of each neuron's network; those outside get the last one's, and are not used."""
    return torch.tensor(numbers)[labels]


# what each intervention does to activations x, labels and means of a block, without scale and shift vectors
BY_HAND = {
    "inhibit": (Inhibit(), lambda x, labels, mean: x.masked_fill(labels >= 0, 0)),
    "scale": (
        Scale(factor=[0.5, 2.0, -1.0]),
        lambda x, labels, mean: torch.where(labels >= 0, x * per_label([0.5, 2, -1], labels).to(x), x),
    ),
    "amplify": (
        Amplify(factor=1.5),
        lambda x, labels, mean: torch.where(labels >= 0, x + x / 2, x),
    ),
    "shift": (
        Shift(value=[0.25, -0.5, 1.0]),
        lambda x, labels, mean: torch.where(labels >= 0, x + per_label([0.25, -0.5, 1], labels).to(x), x),
    ),
    "mean": (Mean(), lambda x, labels, mean: torch.where(labels >= 0, mean.to(x), x)),
    "preserve": (Preserve(), lambda x, labels, mean: x.masked_fill(labels < 0, 0)),
}


@contextmanager
def edited_by_hand(model, place, target, edit):
    """The same with torch's hooks on the modules that the zoo's table states, block after block."""

    def edited(index, x):
        columns = slice(index * place.width, (index + 1) * place.width)
        return edit(x, target.labels[columns], target.mean[columns])

    handles = []
    for index in range(DEPTH):
        module = model.get_submodule(place.in_block(index))
        if place.tensor == "input":

            def on_input(module, args, index=index):
                return (edited(index, args[0]), *args[1:])

            handles.append(module.register_forward_pre_hook(on_input))
        else:

            def on_output(module, args, output, index=index):
                if isinstance(output, tuple):
                    return (edited(index, output[0]), *output[1:])
                return edited(index, output)

            handles.append(module.register_forward_hook(on_output))
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(("name", "site"), PLACES)
@pytest.mark.parametrize("kind", BY_HAND)
def test_logits_are_those_of_activations_edited_by_hand(name, site, kind):
    model, layout = shared(name), shared_layout(name, site)
    intervention, edit = BY_HAND[kind]
    target, before = random_target(layout), logits(model)
    with applied(model, layout, intervention.edit(target)):
        found = logits(model)
    with edited_by_hand(model, ZOO[name].places[site], target, edit):
        expected = logits(model)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    assert (found - before).abs().max() > 1e-3 * before.abs().max()
    assert torch.equal(logits(model), before)
    assert n_hooks(model) == 0


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_a_scale_of_1_and_none_give_bit_identical_logits(name, site):
    model, layout = shared(name), shared_layout(name, site)
    before = logits(model)
    for intervention in (Scale(factor=1), NoIntervention(), Shift(value=0)):
        with applied(model, layout, intervention.edit(random_target(layout))):
            assert n_hooks(model) == 0
            assert torch.equal(logits(model), before)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "chatglm"])
@pytest.mark.parametrize("kind", BY_HAND)
def test_models_in_bfloat16_are_edited_in_bfloat16(name, kind):
    model = ZOO[name].build().to(torch.bfloat16)
    layout = resolve(model, Site.mlp_output)
    intervention, edit = BY_HAND[kind]
    target = random_target(layout)
    with applied(model, layout, intervention.edit(target)):
        found = logits(model)
    with edited_by_hand(model, ZOO[name].places[Site.mlp_output], target, edit):
        expected = logits(model)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("site", Site)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, None])
def test_the_model_is_as_it_was_whatever_happens_inside(site, error):
    model = ZOO["llama"].build()
    layout = resolve(model, site)
    before, weights = logits(model), {name: each.clone() for name, each in model.state_dict().items()}

    def work():
        with applied(model, layout, Shift(value=3).edit(random_target(layout))):
            assert not torch.equal(logits(model), before)
            if error:
                raise error("inside")

    if error:
        with pytest.raises(error, match="inside"):
            work()
    else:
        work()
    assert n_hooks(model) == 0
    assert torch.equal(logits(model), before)
    assert all(torch.equal(each, weights[name]) for name, each in model.state_dict().items())


@pytest.mark.parametrize("site", Site)
def test_hooks_of_others_stay_and_fire(site):
    model = ZOO["llama"].build()
    layout, fired = resolve(model, site), []
    for module in model.modules():
        module.register_forward_hook(lambda *_: fired.append("output"))
        module.register_forward_pre_hook(lambda *_: fired.append("input"))
    logits(model)
    usual, before = len(fired), n_hooks(model)
    with applied(model, layout, Inhibit().edit(random_target(layout))):
        logits(model)
        assert len(fired) == 2 * usual
    assert n_hooks(model) == before
    logits(model)
    assert len(fired) == 3 * usual


def test_only_blocks_with_a_changed_neuron_are_hooked():
    model, layout = ZOO["llama"].build(), shared_layout("llama", Site.mlp_output)
    target = random_target(layout)
    target.labels[layout.blocks[1].columns] = OUTSIDE
    for intervention, hooked in ((Inhibit(), DEPTH - 1), (Preserve(), DEPTH), (Scale(factor=1), 0)):
        with applied(model, layout, intervention.edit(target)):
            assert n_hooks(model) == hooked


def test_edits_inside_one_another_act_one_after_the_other():
    model, layout = shared("llama"), shared_layout("llama", Site.mlp_output)
    target = random_target(layout)
    halve, quarter = Scale(factor=0.5).edit(target), Scale(factor=0.25).edit(target)
    with applied(model, layout, halve):
        once = logits(model)
        with applied(model, layout, halve):
            twice = logits(model)
        assert torch.equal(logits(model), once)
    with applied(model, layout, quarter):
        assert torch.equal(twice, logits(model))


@pytest.mark.parametrize(("name", "site"), [("llama", Site.mlp_hidden), ("chatglm", Site.mlp_output)])
def test_mean_ablation_makes_a_neuron_constant(name, site):
    model, layout = shared(name), shared_layout(name, site)
    target, seen = random_target(layout), []
    with (
        applied(model, layout, Mean().edit(target)),
        visited(model, layout, lambda block, x: seen.append((block, x.reshape(-1, block.width)))),
    ):
        logits(model)
    assert len(seen) == DEPTH
    for block, activations in seen:
        members, mean = target.members[block.columns], target.mean.float()[block.columns]
        assert (activations[:, members] == mean[members]).all()
        assert (activations[:, ~members].std(dim=0) > 0).any()


def test_a_backward_pass_works_after_a_first_pass_without_gradients():
    model, layout = ZOO["llama"].build().to(torch.bfloat16), shared_layout("llama", Site.mlp_output)
    with applied(model, layout, BY_HAND["scale"][0].edit(random_target(layout))):
        with torch.inference_mode():
            model(input_ids=IDS)
        model(input_ids=IDS).logits.sum().backward()
    assert model.model.layers[0].mlp.down_proj.weight.grad.abs().sum() > 0


def test_a_neuron_of_two_networks_takes_the_factor_of_the_one_with_the_larger_z():
    maps = torch.tensor([[0.0, 5.0, 9.0, 0.0], [0.0, 9.0, 5.0, 0.0]])
    neurons = {name: torch.ones(4) for name in NEEDED}
    networks = FunctionalNetworks(maps, TOY_LAYOUT, neurons=neurons)
    rule = TopFraction(0.5)
    assert networks.masks(rule).tolist() == [[False, True, True, False]] * 2
    for selection, factors in (("all", [2.0, 3.0]), ([0, 1], [2.0, 3.0]), ([1, 0], [3.0, 2.0])):
        edit = Scale(selection, factors).edit(choose_target(networks, rule, selection))
        assert edit.scale.tolist() == [1, 3, 2, 1]
        assert not edit.shift.any()


@given(labels=st.lists(st.integers(OUTSIDE, 2), min_size=4, max_size=4).map(tuple), factor=st.floats(-4, 4))
def test_equal_factors_on_all_are_one_factor_on_the_union(labels, factor):
    target = toy_target((*labels[:3], 2))
    union = target.with_labels(torch.where(target.members, 0, OUTSIDE))
    one, each = Scale(factor=factor).edit(target), Scale(factor=[factor] * 3).edit(target)
    assert one.digest == each.digest == Scale(factor=factor).edit(union).digest
    assert one.scale[~target.members].eq(1).all()


def test_inhibit_is_a_scale_of_0():
    target = toy_target()
    assert Inhibit().edit(target).digest == Scale(factor=0).edit(target).digest
    assert Inhibit().edit(target).touched.tolist() == [False, True, True, False]


def test_digests_tell_edits_apart():
    same = {AffineEdit(torch.tensor([zero, 1.0]), torch.tensor([0.0, zero])).digest for zero in (0.0, -0.0)}
    assert len(same) == 1
    vectors = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0 + 2**-23]]
    scaled = {AffineEdit(torch.tensor(vector), torch.zeros(2)).digest for vector in vectors}
    shifted = {AffineEdit(torch.ones(2), torch.tensor(vector)).digest for vector in vectors}
    assert len(scaled | shifted | {no_edit(2).digest, no_edit(3).digest}) == 9


@pytest.mark.parametrize(
    ("intervention", "words"),
    [
        (NoIntervention(), "untouched"),
        (Inhibit(), "inhibit"),
        (Scale(factor=[0, 2]), "scale 0, 2"),
        (Amplify(), "amplify 1.1"),
        (Shift(), "shift 1"),
        (Mean(), "mean ablation"),
        (Preserve(), "preserve"),
    ],
)
def test_interventions_describe_themselves(intervention, words):
    assert intervention.describe() == words


WRONG = ["half", None, [], [1.5, None], [1.5, "x"], float("nan"), [2.0, float("inf")], 1e39, 10**400, True,
         [2.0, False], [[1.5]], {"a": 1.5}]  # fmt: skip


@pytest.mark.parametrize("value", WRONG)
def test_wrong_numbers_are_errors_that_name_the_field(value):
    for make, field in (
        (lambda: Scale(factor=value), "factor"),
        (lambda: Amplify(factor=value), "factor"),
        (lambda: Shift(value=value), "value"),
    ):
        with pytest.raises(ConfigError, match=rf"intervention\.{field} is .*number"):
            make()


@pytest.mark.parametrize("factor", [1, 0.5, -2, [2, 1], 1.0])
def test_amplify_needs_more_than_1(factor):
    with pytest.raises(ConfigError, match="amplify needs more than 1: intervention=scale"):
        Amplify(factor=factor)


@pytest.mark.parametrize("networks", ["some", [], [0, "1"], [True], [0.0], -3, None, {"0": 1}])
def test_a_wrong_selection_is_an_error_in_the_constructor(networks):
    for make in (NoIntervention, Inhibit, Scale, Amplify, Shift, Mean, Preserve):
        with pytest.raises(ConfigError, match=r"intervention\.networks is .*: all, or a list of indices"):
            make(networks)


def test_as_many_factors_as_networks_are_needed():
    with pytest.raises(ConfigError, match=r"intervention\.factor has 3 values for 2 networks"):
        Scale([0, 4], [1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match=r"intervention\.value has 2 values for 1 networks"):
        Shift([4, 4], [1.0, 2.0])
    for intervention in (
        Scale(factor=[1.0, 2.0, 3.0]),
        Amplify(factor=[2.0, 3.0, 4.0]),
        Shift(value=[1, 2, 3]),
    ):
        with pytest.raises(ConfigError, match="has 3 values for 2 networks: give one, or one for each"):
            intervention.edit(toy_target())


def test_there_is_a_single_factor_only_where_one_scales_all():
    assert Scale(factor=0.5).single_factor == 0.5
    assert Inhibit().single_factor == Mean().single_factor == 0
    assert [each.single_factor for each in (Scale(factor=[1, 2]), Shift(), NoIntervention())] == [None] * 3


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (no_edit(3), r"scale has shape \(3,\), the layout has 4 neurons"),
        (AffineEdit(torch.ones(4), torch.zeros(5)), r"shift has shape \(5,\)"),
        (AffineEdit(torch.ones(1, 4), torch.zeros(4)), r"scale has shape \(1, 4\)"),
        (AffineEdit(torch.ones(4), torch.tensor(0.0)), r"shift has shape \(\)"),
    ],
)
def test_an_edit_of_another_shape_is_an_error_and_leaves_no_hook(edit, message):
    model = Toy()
    with pytest.raises(LayoutError, match=message), applied(model, TOY_LAYOUT, edit):
        pytest.fail("the context must not open")
    assert n_hooks(model) == 0


TEXTS = [list(b"The ship"), list(b"A much longer beginning of"), [104]]
NEW, PAD = 10, 258


def greedy(model, ids):
    """One text, no cache, no padding: the tokens and the logits they were chosen from."""
    found = []
    for _ in range(NEW):
        with torch.no_grad():
            found.append(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1])
        ids = [*ids, int(found[-1].argmax())]
    return ids[-NEW:], torch.stack(found)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("site", Site)
@pytest.mark.parametrize("kind", ["scale", "mean", "shift"])
def test_cached_and_padded_generation_is_that_of_single_texts(name, site, kind):
    model = ZOO[name].build()
    with torch.no_grad():
        for weight in model.parameters():  # as drawn they are so small that attention hardly matters
            weight.mul_(4 if weight.ndim > 1 else 1)
    model.generation_config.eos_token_id = None
    layout = resolve(model, site)
    longest = max(map(len, TEXTS))
    padded = torch.tensor([[PAD] * (longest - len(text)) + text for text in TEXTS])
    plain = greedy(model, TEXTS[0])
    with applied(model, layout, BY_HAND[kind][0].edit(random_target(layout))):
        written = model.generate(
            padded,
            attention_mask=(padded != PAD).long(),
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=PAD,
            use_cache=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
        singly = [greedy(model, text) for text in TEXTS]
    for place, (tokens, chosen_from) in enumerate(singly):
        assert written.sequences[place, longest:].tolist() == tokens
        found = torch.stack([step[place] for step in written.logits])
        torch.testing.assert_close(found, chosen_from, rtol=1e-4, atol=1e-4)
    assert (plain[1][0] - singly[0][1][0]).abs().max() > 1e-2
