import pytest
import torch
from zoo import ZOO

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Site
from fbn_exp.models.hooks import visited
from fbn_exp.models.positions import Tokens, running_tokens
from fbn_exp.models.sites import resolve

RAGGED = [[11, 12, 13, 14], [21, 22], [31, 32, 33]]
LONGEST = max(map(len, RAGGED))
PAD = 258
NAMES = list(ZOO)


def padded(side):
    """Token ids and mask, and the position that every token has; -1 at padding."""
    rows = []
    for text in RAGGED:
        pads, places = [(PAD, 0, -1)] * (LONGEST - len(text)), [(each, 1, n) for n, each in enumerate(text)]
        rows.append(pads + places if side == "left" else places + pads)
    return torch.tensor(rows).unbind(dim=-1)


def seen(model, call, site=Site.mlp_output):
    """Tokens at the blocks of a model while it is called, one entry per block and pass."""
    layout, found = resolve(model, site), []
    visit = lambda block, x: found.append((running.of(x), x.shape))  # noqa: E731
    with running_tokens(model, layout) as running, visited(model, layout, visit), torch.no_grad():
        call(model)
    return found


def assert_positions(found, expected):
    assert found
    for tokens, shape in found:
        assert tokens.position.shape == shape[:-1]
        assert torch.equal(tokens.position.reshape(expected.shape), expected)
        assert torch.equal(tokens.first, tokens.position == 0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["model", "base"])
def test_positions_are_counted_in_the_mask_on_either_side_of_padding(name, side, part):
    """The model and its body alike, in architectures that flatten tokens or put them first too."""
    ids, mask, expected = padded(side)

    def call(model):
        called = model if part == "model" else model.base_model
        called(input_ids=ids, attention_mask=mask, use_cache=False)

    assert_positions(seen(ZOO[name].build(), call), expected)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("site", Site)
def test_positions_are_the_same_at_every_site(name, site):
    ids, mask, expected = padded("left")
    assert_positions(seen(ZOO[name].build(), lambda m: m(input_ids=ids, attention_mask=mask), site), expected)


def test_given_positions_are_believed_also_in_packed_rows():
    positions = torch.tensor([[0, 1, 2, 0, 1, 0]])
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    mask = torch.zeros(1, 1, 6, 6)
    for arguments in ({}, {"attention_mask": mask}):
        call = lambda m: m(input_ids=ids, position_ids=positions, **arguments)  # noqa: B023, E731
        assert_positions(seen(ZOO["llama"].build(), call), positions)
    two = torch.cat([ids, ids])
    assert_positions(
        seen(ZOO["llama"].build(), lambda m: m(two, position_ids=positions)), positions.expand(2, 6)
    )


def test_padding_is_never_a_first_token_whatever_its_position():
    ids, mask, expected = padded("left")
    given = expected.clamp_min(0)  # as tokenizers of ChatGLM give them
    call = lambda m: m(input_ids=ids, attention_mask=mask, position_ids=given)  # noqa: E731
    assert_positions(seen(ZOO["llama"].build(), call), expected)


def test_without_mask_or_positions_tokens_are_counted_from_the_cache_on():
    ids = torch.tensor([[5, 6, 7]])

    def call(model):
        cache = model(ids).past_key_values
        model(torch.tensor([[8, 9]]), past_key_values=cache)

    found = seen(ZOO["llama"].build(), call)
    assert_positions(found[:3], torch.tensor([[0, 1, 2]]))
    assert_positions(found[3:], torch.tensor([[3, 4]]))


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "opt", "bloom", "mpt", "falcon"])
def test_generated_tokens_follow_the_prompt_of_each_row(name):
    ids, mask, expected = padded("left")
    new = 3

    def call(model):
        model.generation_config.eos_token_id = None
        model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=PAD
        )

    model = ZOO[name].build()
    found = seen(model, call)
    depth = len(found) // new
    assert_positions(found[:depth], expected)
    for step in range(1, new):
        for tokens, shape in found[step * depth : (step + 1) * depth]:
            # mpt keeps no cache, and runs all tokens again
            assert tokens.position.reshape(len(RAGGED), -1)[:, -1:].equal(expected[:, -1:] + step)
            assert tokens.position.shape == shape[:-1]


def test_embeddings_count_as_tokens():
    model = ZOO["llama"].build()
    embedded = model.get_input_embeddings()(torch.tensor([[5, 6]])).detach()
    assert_positions(seen(model, lambda m: m(inputs_embeds=embedded)), torch.tensor([[0, 1]]))


def test_a_pass_that_fails_leaves_the_next_one_right():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    fails = True

    def visit(block, x):
        if fails:
            raise RuntimeError("inside")
        found.append((running.of(x), x.shape))

    found = []
    with running_tokens(model, layout) as running, visited(model, layout, visit), torch.no_grad():
        with pytest.raises(RuntimeError, match="inside"):
            model(torch.tensor([[1, 2, 3]]))
        fails = False
        model(torch.tensor([[4]]))
    assert_positions(found, torch.tensor([[0]]))


def test_a_pass_without_tokens_is_an_error_in_words():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    with (
        running_tokens(model, layout) as running,
        pytest.raises(LayoutError, match="input_ids or inputs_embeds"),
    ):
        running.of(torch.zeros(1, 2, 3))


def test_activations_of_another_number_of_tokens_are_an_error():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    with running_tokens(model, layout) as running:
        model(torch.tensor([[1, 2, 3]]))
        with pytest.raises(LayoutError, match=r"shape \(1, 2, 8\), the forward pass has 1 × 3 tokens"):
            running.of(torch.zeros(1, 2, 8))


def test_hooks_go_with_the_context():
    model = ZOO["llama"].build()
    layout = resolve(model, Site.mlp_output)
    count = lambda: sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())  # noqa: E731
    with running_tokens(model, layout):
        assert count() > 0
    assert count() == 0


def test_first_tokens_are_those_at_position_0():
    assert Tokens(torch.tensor([[-1, 0, 1], [0, 1, 0]])).first.tolist() == [
        [False, True, False],
        [True, False, True],
    ]


def test_blocks_that_run_again_in_the_backward_pass_know_their_tokens():
    model = ZOO["llama"].build().train()
    model.gradient_checkpointing_enable()  # renamed in newer releases
    layout = resolve(model, Site.mlp_hidden)
    ids, mask, expected = padded("right")
    found = []
    visit = lambda block, x: found.append((running.of(x), x.shape))  # noqa: E731
    with running_tokens(model, layout) as running, visited(model, layout, visit):
        loss = model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False).loss
        forward = len(found)
        loss.backward()
    assert len(found) > forward
    assert_positions(found, expected)
