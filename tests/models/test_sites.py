import functools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from zoo import DEPTH, PLACES, ZOO

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Site
from fbn_exp.models.hooks import visited
from fbn_exp.models.sites import resolve

BATCH, TOKENS = 2, 5
IDS = torch.randint(0, 250, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))


@functools.cache
def shared(name):
    """One model for all tests that leave it as it was."""
    return ZOO[name].build()


def absent():
    for name, architecture in ZOO.items():
        yield from ((name, site) for site, place in architecture.places.items() if place is None)


def run(model, ids=IDS):
    with torch.no_grad():
        model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)


def recorded(model, layout, ids=IDS):
    seen = {}
    with visited(model, layout, lambda block, activations: seen.__setitem__(block, activations.clone())):
        run(model, ids)
    return seen


def recorded_by_hand(model, paths, tensor):
    seen, handles = {}, []
    for path in paths:

        def keep(module, args, output, path=path):
            value = args if tensor == "input" else output
            seen[path] = (value[0] if isinstance(value, tuple) else value).clone()

        handles.append(model.get_submodule(path).register_forward_hook(keep))
    run(model)
    for handle in handles:
        handle.remove()
    return [seen[path] for path in paths]


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_a_site_is_where_the_table_says(name, site):
    place = ZOO[name].places[site]
    layout = resolve(shared(name), site)
    assert [block.path for block in layout.blocks] == [place.in_block(index) for index in range(DEPTH)]
    assert [block.width for block in layout.blocks] == [place.width] * DEPTH
    assert [block.offset for block in layout.blocks] == [place.width * index for index in range(DEPTH)]
    assert layout.reads_input == (place.tensor == "input")
    assert layout.tokens_first == ZOO[name].tokens_first


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_visitors_see_what_a_hook_placed_by_hand_sees(name, site):
    model, place = shared(name), ZOO[name].places[site]
    by_hand = recorded_by_hand(model, [place.in_block(index) for index in range(DEPTH)], place.tensor)
    seen = list(recorded(model, resolve(model, site)).values())
    assert len(seen) == DEPTH
    for one, other in zip(seen, by_hand, strict=True):
        assert torch.equal(one, other.transpose(0, 1) if ZOO[name].tokens_first else other)
        assert one.abs().max() > 0


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_rows_are_texts_then_tokens(name, site):
    """The first text alone gives the rows that it gives in a batch."""
    model = shared(name)
    layout = resolve(model, site)
    batch, alone = recorded(model, layout), recorded(model, layout, IDS[:1])
    for block in layout.blocks:
        rows = batch[block].reshape(-1, block.width)
        torch.testing.assert_close(rows[:TOKENS], alone[block].reshape(-1, block.width), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("site", [Site.mlp_output, Site.attention_output])
@pytest.mark.parametrize("name", ZOO)
def test_outputs_of_mlp_and_attention_hold_no_residual_stream(name, site):
    """What the module's own last weights give when they are zero is zero."""
    model = ZOO[name].build()
    layout = resolve(model, site)
    for block in layout.blocks:
        for weight in model.get_submodule(block.path).parameters():
            weight.data.zero_()
    assert all(torch.count_nonzero(each) == 0 for each in recorded(model, layout).values())


@pytest.mark.parametrize(
    ("site", "module"), [(Site.mlp_output, "mlp"), (Site.attention_output, "self_attention")]
)
def test_blooms_own_module_adds_the_residual_and_the_site_does_not(site, module):
    model = shared("bloom")
    with_residual = recorded_by_hand(model, [f"transformer.h.{i}.{module}" for i in range(DEPTH)], "output")
    for one, other in zip(recorded(model, resolve(model, site)).values(), with_residual, strict=True):
        assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize(("name", "site"), absent())
def test_a_mixture_of_experts_has_no_hidden_layer(name, site):
    with pytest.raises(LayoutError, match=r"mlp_hidden .* mixture of experts .* take site=mlp_output"):
        resolve(shared(name), site)


@pytest.mark.parametrize(("name", "site"), [("llama", Site.mlp_output), ("opt", Site.mlp_hidden)])
def test_resolving_changes_nothing(name, site):
    model = ZOO[name].build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert resolve(model, site) == resolve(model, site)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Toy(nn.Module):
    """A model of no known architecture: ``body.*.ff`` is its MLP; blocks may differ in width."""

    def __init__(self, widths=(8, 8, 8), backwards=False, config=None, without_ff=()):
        super().__init__()
        if config is not None:
            self.config = config
        self.backwards = backwards
        self.embedding = nn.Embedding(259, 8)
        self.body = nn.ModuleList(nn.Module() for _ in widths)
        for index, (block, width) in enumerate(zip(self.body, widths, strict=True)):
            block.att = nn.Linear(8, 8)
            block.up, block.down = nn.Linear(8, width), nn.Linear(width, 8)
            if index not in without_ff:
                block.ff = nn.Linear(8, width)

    @property
    def base_model(self):
        return self

    def forward(self, input_ids, attention_mask=None, use_cache=None):
        hidden = self.embedding(input_ids)
        for block in reversed(self.body) if self.backwards else self.body:
            hidden = hidden + block.att(hidden)
            if hasattr(block, "ff"):
                hidden = hidden + block.down(block.ff(hidden))
        return hidden


FF = {"mlp_output": "body.*.ff"}


def test_an_unknown_architecture_is_an_error_that_lists_what_was_found():
    model = Toy(config=SimpleNamespace(num_hidden_layers=3))
    with pytest.raises(LayoutError) as error:
        resolve(model, Site.mlp_output)
    for part in (
        "block body.0",
        "looked for mlp,",
        "found: att, up, down, ff",
        "model.paths.mlp_output='body.*.…'",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("config", [None, SimpleNamespace(num_hidden_layers=7), SimpleNamespace()])
def test_a_model_without_a_list_of_blocks_of_its_depth_is_an_error_that_lists_the_lists(config):
    with pytest.raises(LayoutError, match=r"decoder blocks of Toy: .* body \(3\)\. Name .*model\.paths"):
        resolve(Toy(config=config), Site.mlp_output)


def test_an_unknown_architecture_works_through_a_pattern():
    layout = resolve(Toy(), Site.mlp_output, FF)
    assert [block.path for block in layout.blocks] == ["body.0.ff", "body.1.ff", "body.2.ff"]


def test_a_pattern_beats_the_known_place():
    layout = resolve(shared("llama"), Site.mlp_output, {"mlp_output": "model.layers.*.mlp.down_proj"})
    assert [block.path for block in layout.blocks] == [
        f"model.layers.{i}.mlp.down_proj" for i in range(DEPTH)
    ]


def test_a_pattern_is_about_its_own_site_only():
    assert resolve(shared("llama"), Site.block_output, FF) == resolve(shared("llama"), Site.block_output)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"mlp_output": "body.ff"}, r"'body\.ff': needs one \*"),
        ({"mlp_output": "*.*.ff"}, r"needs one \*"),
        ({"mlp_output": "body.*.nope"}, r"matches no module; modules of block 0: .*body\.0\.ff"),
        ({"mlp_output": "body.*.up"}, r"did not run in a forward pass: body\.0\.up"),
        ({"mlp_outptu": "body.*.ff"}, r"names mlp_outptu; the sites are mlp_output, "),
    ],
)
def test_a_bad_pattern_is_an_error_that_helps(paths, message):
    with pytest.raises(LayoutError, match=message):
        resolve(Toy(), Site.mlp_output, paths)


def test_blocks_of_different_widths_get_the_right_offsets():
    layout = resolve(Toy(widths=(5, 7, 3)), Site.mlp_output, FF)
    assert [(block.offset, block.width) for block in layout.blocks] == [(0, 5), (5, 7), (12, 3)]
    assert layout.n_neurons == 15


def test_blocks_without_the_module_are_left_out_and_indices_are_numbers():
    """As in models that have attention in some blocks only; 10 comes after 9, not after 1."""
    layout = resolve(Toy(widths=(4,) * 12, without_ff=(1, 2)), Site.mlp_output, FF)
    assert [block.path for block in layout.blocks] == [f"body.{i}.ff" for i in (0, *range(3, 12))]


def test_columns_follow_the_layout_whatever_order_the_modules_run_in():
    forwards, backwards = Toy((5, 7, 3)), Toy((5, 7, 3), backwards=True)
    layout = resolve(backwards, Site.mlp_output, FF)
    assert layout == resolve(forwards, Site.mlp_output, FF)
    seen = recorded(backwards, layout)
    assert [block.path for block in seen] == ["body.2.ff", "body.1.ff", "body.0.ff"]
    assert all(activations.shape == (BATCH, TOKENS, block.width) for block, activations in seen.items())


def test_an_output_that_is_no_tensor_is_an_error_that_names_the_module():
    model = Toy()
    model.body[1].ff.forward = lambda hidden: {"hidden": hidden}
    with pytest.raises(LayoutError, match=r"body\.1\.ff holds a dict"):
        resolve(model, Site.mlp_output, FF)
