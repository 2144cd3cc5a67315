import functools
import shutil

import pytest
import torch
from neuron_statistics import stated
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama.modeling_llama import LlamaMLP
from zoo import TINY, ZOO

from fbn_exp.core.errors import FoldError
from fbn_exp.core.layout import Site
from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.interventions.edit import AffineEdit, applied, no_edit
from fbn_exp.interventions.fold import export, folded
from fbn_exp.interventions.resample import Donors
from fbn_exp.interventions.rules import Inhibit, Scale
from fbn_exp.interventions.target import OUTSIDE, Target
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.models.sites import resolve

IDS = torch.randint(0, 250, (2, 7), generator=torch.Generator().manual_seed(1))
EXPERTS_WITH_BIAS = ("gpt_oss", Site.mlp_output)
# whose last linear map has a bias, by hand
MLP_BIAS = {"gpt2", "gptj", "gpt_neox", "opt", "bloom", "phi", "chatglm"}
ATTENTION_BIAS = {"gpt2", "gpt_neox", "opt", "bloom", "phi", "chatglm", "gpt_oss"}


def vivid(model):
    """Weights and biases so large that every part of the model matters for the logits."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "bias" in name:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
            elif weight.ndim > 1:
                weight.mul_(6)
    return model.eval()


@functools.cache
def shared(name):
    """One model for all tests; that they leave it as it was is itself tested."""
    return vivid(ZOO[name].build())


def logits(model, ids=IDS):
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits.float()


def hooked_logits(model, layout, edit):
    with applied(model, layout, edit):
        return logits(model)


def distance(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def has_bias(name, site):
    return name in (ATTENTION_BIAS if site is Site.attention_output else MLP_BIAS)


def mixed_scale(layout, seed=0):
    """A quarter of all neurons at 0, 0.3 or 1.7."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.tensor([0.0, 0.3, 1.7])[torch.randint(0, 3, (layout.n_neurons,), generator=generator)]
    outside = torch.rand(layout.n_neurons, generator=generator) > 0.25
    return AffineEdit(factors.masked_fill(outside, 1.0), torch.zeros(layout.n_neurons))


def preserve(layout):
    kept = torch.arange(layout.n_neurons) % 3 == 0
    kept[layout.blocks[1].columns] = False
    return AffineEdit(kept.float(), torch.zeros(layout.n_neurons))


def shifted_mean(layout):
    """Some neurons at a constant, some shifted."""
    edit = mixed_scale(layout, seed=1)
    constants = torch.randn(layout.n_neurons, generator=torch.Generator().manual_seed(2))
    return AffineEdit(edit.scale, constants.masked_fill(edit.scale == 1, 0.0))


def only(layout, neuron, scale):
    edit = no_edit(layout.n_neurons)
    edit.scale[neuron] = scale
    return edit


def foldable():
    for name, architecture in ZOO.items():
        for site, place in architecture.places.items():
            if place and site is not Site.block_output and (name, site) != EXPERTS_WITH_BIAS:
                yield name, site


@pytest.mark.parametrize(("name", "site"), foldable())
@pytest.mark.parametrize("make", [mixed_scale, preserve])
def test_folded_weights_do_what_the_hooks_do(name, site, make):
    model = shared(name)
    layout, before = resolve(model, site), logits(model)
    weights = {key: each.clone() for key, each in model.state_dict().items()}
    edit = make(layout)
    expected = hooked_logits(model, layout, edit)
    assert distance(expected, before) > 0.02, "an omitted fold would go unnoticed"
    twin = folded(model, layout, edit)
    assert type(twin) is type(model)
    assert distance(logits(twin), expected) < 1e-4
    assert all(torch.equal(each, weights[key]) for key, each in model.state_dict().items())
    assert torch.equal(logits(model), before)
    assert not any(
        each._forward_hooks or each._forward_pre_hooks for each in (*model.modules(), *twin.modules())
    )


@pytest.mark.parametrize(("name", "site"), [each for each in foldable() if has_bias(*each)])
def test_a_shift_is_folded_where_there_is_a_bias(name, site):
    model = shared(name)
    layout = resolve(model, site)
    edit = shifted_mean(layout)
    expected = hooked_logits(model, layout, edit)
    unshifted = hooked_logits(model, layout, AffineEdit(edit.scale, torch.zeros_like(edit.shift)))
    assert distance(expected, unshifted) > 0.02
    assert distance(logits(folded(model, layout, edit)), expected) < 1e-4


@pytest.mark.parametrize(("name", "site"), [each for each in foldable() if not has_bias(*each)])
def test_a_shift_without_a_bias_is_an_error_that_names_the_module(name, site):
    model = shared(name)
    layout = resolve(model, site)
    edit = no_edit(layout.n_neurons)
    edit.shift[layout.blocks[1].offset] = 1.0
    with pytest.raises(FoldError, match=r"cannot fold a shift into .*\.1\..* has no bias"):
        folded(model, layout, edit)


def targeted(layout):
    """A target with different statistics at first tokens, and donors."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    labels = torch.where(torch.rand(layout.n_neurons, generator=generator) < 0.2, 0, OUTSIDE)
    first, others = stated(draw(layout.n_neurons), n_tokens=2), stated(draw(layout.n_neurons), n_tokens=8)
    rows = draw(3, layout.n_neurons)
    return Target((0,), labels, layout, StatisticsByToken(first, others), Donors(rows, rows))


@pytest.mark.parametrize("options", [{"fill": "zero"}, {"fill": "mean"}, {"fill": "mean", "members": "all"}])
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.5])
def test_doses_towards_one_value_are_folded_where_there_is_a_bias(options, factor):
    model = shared("gpt2")
    layout = resolve(model, Site.mlp_output)
    edit = Scale(factor=factor, **options).edit(targeted(layout))
    expected = hooked_logits(model, layout, edit)
    assert distance(expected, logits(model)) > 0.02
    assert distance(logits(folded(model, layout, edit)), expected) < 1e-4


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fill": "position_mean"}, "does not change first tokens as it does the others"),
        ({"tokens": "first_spared"}, "does not change first tokens as it does the others"),
        ({"tokens": "first_only", "fill": "mean"}, "does not change first tokens as it does the others"),
        ({"fill": "resample"}, "resampled values differ from token to token"),
    ],
)
def test_what_differs_from_token_to_token_cannot_be_folded(options, reason, tmp_path):
    model = shared("gpt2")
    layout = resolve(model, Site.mlp_output)
    edit = Inhibit(**options).edit(targeted(layout))
    with pytest.raises(FoldError, match=f"{reason}.*, and weights are the same for all tokens"):
        export(language_model(model), layout, edit, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_mean_without_a_bias_cannot_be_folded():
    model = shared("llama")
    layout = resolve(model, Site.mlp_output)
    with pytest.raises(FoldError, match=r"cannot fold a shift into .* no bias"):
        folded(model, layout, Inhibit(fill="mean").edit(targeted(layout)))


@pytest.mark.parametrize("name", ZOO)
def test_the_sum_over_blocks_cannot_be_folded(name):
    model = shared(name)
    layout = resolve(model, Site.block_output)
    with pytest.raises(FoldError, match="block_output cannot be folded: it is a sum"):
        folded(model, layout, mixed_scale(layout))


def test_experts_with_biases_cannot_be_folded():
    model = shared("gpt_oss")
    layout = resolve(model, Site.mlp_output)
    with pytest.raises(
        FoldError, match=r"model\.layers\.0\.mlp: GptOssMLP is not a known mixture of experts"
    ):
        folded(model, layout, mixed_scale(layout))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "bloom", "mixtral", "qwen2_moe"])
@pytest.mark.parametrize("site", [Site.mlp_output, Site.attention_output])
def test_half_precision_is_folded_too(name, site, dtype):
    model = vivid(ZOO[name].build()).to(dtype)
    layout = resolve(model, site)
    edit = mixed_scale(layout)
    expected = hooked_logits(model, layout, edit)
    twin = folded(model, layout, edit)
    assert next(twin.parameters()).dtype == dtype
    # routers turn roundings into other experts, which the comparison block by block is not misled by
    if "mo" not in name and "mix" not in name:
        assert distance(logits(twin), expected) < 0.05


class AddsItsInput(LlamaMLP):
    def forward(self, x):
        return super().forward(x) + x


class IgnoresItsProjection(LlamaMLP):
    """What is folded has no effect, as if it had been left out."""

    def forward(self, x):
        return nn.functional.linear(self.act_fn(self.gate_proj(x)) * self.up_proj(x), self.used)


def strange_llama(kind, dtype=torch.float32):
    model = vivid(ZOO["llama"].build()).to(dtype)
    mlp = model.model.layers[1].mlp
    mlp.register_buffer("used", mlp.down_proj.weight.detach().clone())
    mlp.__class__ = kind
    return model


@pytest.mark.parametrize("kind", [AddsItsInput, IgnoresItsProjection])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, 0.0), (torch.float32, 0.98), (torch.bfloat16, 0.0), (torch.float16, 0.5)],
)
def test_a_fold_without_effect_on_a_single_neuron_is_noticed(kind, dtype, scale):
    model = strange_llama(kind, dtype)
    layout = resolve(model, Site.mlp_output)
    for neuron in range(layout.blocks[1].offset, layout.n_neurons, 5):
        edit = only(layout, neuron, scale)
        if layout.locate(neuron)[0] == 1:
            with pytest.raises(FoldError, match=r"at model\.layers\.1\.mlp: LlamaForCausalLM does more"):
                folded(model, layout, edit)
        else:
            folded(model, layout, edit)


def test_a_fold_without_effect_on_a_hidden_neuron_is_noticed():
    model = strange_llama(IgnoresItsProjection)
    model.model.layers[1].mlp.__class__ = LlamaMLP
    projection = model.model.layers[1].mlp.down_proj
    projection.register_buffer("used", projection.weight.detach().clone())

    class Fixed(nn.Linear):
        def forward(self, x):
            return nn.functional.linear(x, self.used)

    projection.__class__ = Fixed
    layout = resolve(model, Site.mlp_hidden)
    for neuron in range(layout.blocks[1].offset, layout.blocks[2].offset, 5):
        with pytest.raises(FoldError, match=r"differ from the hooks .* at model\.layers\.1\.mlp\.down_proj"):
            folded(model, layout, only(layout, neuron, 0.9))


def test_a_projection_that_two_blocks_share_is_noticed():
    """Only the first of them is edited, but both change."""
    model = vivid(ZOO["llama"].build())
    model.model.layers[2].mlp.down_proj = model.model.layers[0].mlp.down_proj
    layout = resolve(model, Site.mlp_output)
    with pytest.raises(FoldError, match=r"at model\.layers\.2\.mlp"):
        folded(model, layout, only(layout, 3, 0.5))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_an_error_that_names_the_format(dtype):
    model = vivid(ZOO["llama"].build())
    layout = resolve(model, Site.mlp_output)
    projection = model.model.layers[0].mlp.down_proj
    projection.weight = nn.Parameter(projection.weight.detach().to(dtype), requires_grad=False)
    with pytest.raises(FoldError, match=rf"model\.layers\.0\.mlp: its weights are quantised \({dtype}\)"):
        folded(model, layout, mixed_scale(layout))


def test_a_module_without_a_last_linear_map_is_an_error_that_lists_its_children():
    model = vivid(ZOO["llama"].build())
    model.model.layers[0].mlp = nn.Sequential(nn.Linear(32, 32))
    layout = resolve(model, Site.mlp_output)
    with pytest.raises(FoldError, match=r"no last linear map among its children: 0 \(Linear\)"):
        folded(model, layout, mixed_scale(layout))


def language_model(model):
    return LanguageModel(model, byte_tokenizer(), ModelConfig(name="random:zoo"), None)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "chatglm"])
def test_an_export_is_an_ordinary_checkpoint(name, tmp_path):
    model = shared(name)
    layout = resolve(model, Site.attention_output if name == "gpt_oss" else Site.mlp_output)
    edit, lm = mixed_scale(layout), language_model(model)
    export(lm, layout, edit, tmp_path / "some" / "folder")
    assert [each.name for each in (tmp_path / "some").iterdir()] == ["folder"]
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "some" / "folder").eval()
    assert reloaded.config.tie_word_embeddings == model.config.tie_word_embeddings
    # bit for bit what folded gives, near what the hooks give
    assert torch.equal(logits(reloaded), logits(folded(model, layout, edit)))
    assert distance(logits(reloaded), hooked_logits(model, layout, edit)) < 1e-4
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "some" / "folder")
    assert tokenizer("The ship")["input_ids"] == lm.tokenizer("The ship")["input_ids"]


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_stay_tied(tied, tmp_path):
    model = vivid(random_model("llama", TINY | {"tie_word_embeddings": tied}))
    layout = resolve(model, Site.mlp_output)
    edit = mixed_scale(layout)
    export(language_model(model), layout, edit, tmp_path / "model")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    for each in (model, folded(model, layout, edit), reloaded):
        assert (each.get_input_embeddings().weight is each.get_output_embeddings().weight) == tied
    assert distance(logits(reloaded), hooked_logits(model, layout, edit)) < 1e-4


def test_an_export_in_bfloat16_reloads_in_bfloat16(tmp_path):
    model = vivid(ZOO["llama"].build()).to(torch.bfloat16)
    layout = resolve(model, Site.mlp_output)
    export(language_model(model), layout, mixed_scale(layout), tmp_path / "model")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert reloaded.dtype == torch.bfloat16
    written = folded(model, layout, mixed_scale(layout)).state_dict()
    assert all(torch.equal(each, written[name]) for name, each in reloaded.state_dict().items())


@pytest.mark.parametrize(
    ("name", "site", "make"),
    [
        ("llama", Site.block_output, mixed_scale),
        ("llama", Site.mlp_output, shifted_mean),
        ("gpt_oss", Site.mlp_output, mixed_scale),
    ],
)
def test_nothing_is_written_where_nothing_can_be_folded(name, site, make, tmp_path):
    model = shared(name)
    layout = resolve(model, site)
    with pytest.raises(FoldError):
        export(language_model(model), layout, make(layout), tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_is_replaced_and_anything_else_is_not(tmp_path):
    model = shared("llama")
    layout = resolve(model, Site.mlp_output)
    lm, folder = language_model(model), tmp_path / "model"
    export(lm, layout, preserve(layout), folder)
    export(lm, layout, mixed_scale(layout), folder)
    reloaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert distance(logits(reloaded), hooked_logits(model, layout, mixed_scale(layout))) < 1e-4

    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    for taken in (folder, folder / "thesis.txt"):
        with pytest.raises(FoldError, match="holds something other than a model: choose another folder"):
            export(lm, layout, mixed_scale(layout), taken)
    assert [each.name for each in folder.iterdir()] == ["thesis.txt"]
    (folder / "thesis.txt").unlink()
    export(lm, layout, mixed_scale(layout), folder)
    assert (folder / "config.json").is_file()
